"""Settings: one frozen object, read from the environment once and passed down."""

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ops import formats
from ops.places import Places

#: Seconds. A take-home exam may run for a week; longer is a typing error.
MAX_DURATION_S = 7 * 24 * 3600
#: Seconds. An echo sleeps in a worker slot; an hour is more than anyone waits for one.
MAX_ECHO_DELAY_S = 3600

#: Settings whose values may hold what nobody else should know. No log, message or list shows it.
SECRETS = frozenset({"redis_url", "smtp_url", "key"})

Duration = Annotated[int, Field(ge=1, le=MAX_DURATION_S)]

#: Addresses that listen for everyone, and where to reach such a one from here.
_FROM_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nobody listens there


class BadSettings(ValueError):  # noqa: N818 - reads as what the user did
    """A setting has a value that is not allowed; the message is the line to show."""


class Settings(Places, BaseSettings):
    """What can be set from outside, with its default. Units are in the names or described."""

    model_config = SettingsConfigDict(
        env_prefix="INVIGIL_", frozen=True, extra="ignore", populate_by_name=True
    )

    data: Path = Field(Path("var"), description="Folder of exams, logs, mails and embedded Redis")
    redis_url: str | None = Field(
        None,
        validation_alias=AliasChoices("redis_url", "REDIS_URL"),
        description="Server to use; unset: the embedded one under the data folder",
    )
    redis_users: Path | None = Field(
        None, description="File with each part's login to Redis, as `invigil acl create` writes it"
    )
    host: str = Field("127.0.0.1", description="Address the gateway listens on", min_length=1)
    port: int = Field(8080, ge=0, le=65535, description="Port of the gateway; 0: any free one")
    tls_cert: Path | None = Field(
        None, description="Certificate in PEM, with its chain; with the key, the gateway speaks TLS"
    )
    tls_key: Path | None = Field(None, description="Its key in PEM, which only its owner may read")
    cors_origins: str = Field(
        "", description="Sites whose pages may call from a browser: https://host[:port],..."
    )
    max_connections: int = Field(
        10_000, ge=1, le=1_000_000, description="Connections to the gateway at once"
    )
    drain: int = Field(
        0, ge=0, le=300, description="Seconds for which an ending gateway serves on, not ready"
    )
    key: SecretStr | None = Field(
        None, description="API key with which `invigil send --file` calls the gateway"
    )
    key_rate: str = Field(
        "1000/second", description="Requests, and lines of bodies, that a key may send; off: any"
    )
    address_rate: str = Field(
        "1000/second",
        description="Requests from one address, but this machine's, likewise",
    )
    denied_rate: str = Field(
        "60/minute", description="Requests from one address that are denied, likewise"
    )
    exam_duration: Duration = Field(120, description="Seconds, when exam.start names none")
    echo_delay: float = Field(
        20, ge=0, le=MAX_ECHO_DELAY_S, description="Seconds, when echo names none"
    )
    mail_every: int = Field(300, ge=1, le=86400, description="Seconds between two digest mails")
    mail_to: str = Field("invigilator@localhost", description="Receiver of the digest mail")
    mail_from: str = Field("invigil@localhost", description="Sender of the digest mail")
    smtp_url: str | None = Field(
        None, description="smtp://, smtp+starttls:// or smtps://[user:password@]host[:port]"
    )
    orphan_after: int = Field(
        300, ge=1, le=86400, description="Seconds a result waits for its exam.start"
    )
    max_deliveries: int = Field(
        5, ge=3, le=100, description="Attempts at a command that fails before it is buried"
    )
    max_waiting: int = Field(
        100_000, ge=1, description="Commands that may wait; from there on starts are turned away"
    )
    max_wait: float = Field(
        5, gt=0, le=86400, description="Seconds that commands may wait to be read, likewise"
    )
    max_memory: int = Field(
        80, ge=1, le=100, description="Percent of Redis' maxmemory that may be in use, likewise"
    )
    min_disk: int = Field(
        100, ge=0, description="Megabytes of the data folder's disk that stay free, likewise"
    )
    stream_retention: int = Field(
        86400, ge=0, description="Seconds for which commands stay on the stream when done with"
    )
    exam_autoscale: str = Field("4,1", description="MAX,MIN processes of the exam worker")
    mail_autoscale: str = Field("2,1", description="MAX,MIN processes of the mail worker")
    slow_autoscale: str = Field("1000,50", description="MAX,MIN greenlets of the slow worker")
    durability: Literal["normal", "strict"] = Field(
        "normal", description="Of Redis; strict: a command is on its disk before it is answered"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe line that is written; what an audit needs always is"
    )
    log_size: int = Field(
        64, ge=1, le=4096, description="Megabytes after which a log file is set aside, full"
    )
    log_files: int = Field(
        100, ge=2, le=100_000, description="Full log files that are kept of each part"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Of standard output; auto: console on a terminal, else json"
    )

    @field_validator("data", mode="before")
    @classmethod
    def _named_folder(cls, value: object) -> object:
        if value == "":
            raise ValueError("the name of a folder; unset for ./var")
        return value

    @field_validator("redis_users", "tls_cert", "tls_key", mode="before")
    @classmethod
    def _file_or_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("cors_origins")
    @classmethod
    def _of_sites(cls, value: str) -> str:
        return formats.origins(value)

    @field_validator("redis_url")
    @classmethod
    def _of_a_redis(cls, value: str | None) -> str | None:
        return formats.redis_url(value)

    @field_validator("smtp_url")
    @classmethod
    def _of_a_mail_server(cls, value: str | None) -> str | None:
        return formats.url(value, schemes=("smtp", "smtp+starttls", "smtps")) if value else None

    @field_validator("mail_to", "mail_from")
    @classmethod
    def _one_mailbox(cls, value: str) -> str:
        return formats.mailbox(value)

    @field_validator("exam_autoscale", "mail_autoscale", "slow_autoscale")
    @classmethod
    def _max_min(cls, value: str) -> str:
        return formats.max_min(value)

    @field_validator("key_rate", "address_rate", "denied_rate")
    @classmethod
    def _rate(cls, value: str) -> str:
        return formats.rate(value)

    @classmethod
    def read(cls, **overrides: Any) -> Self:
        """
        Read the environment once.

        Raises:
            BadSettings: With one line that names the variable, the value and what is allowed.
        """
        try:
            settings = cls(**overrides)
        except ValidationError as error:
            raise BadSettings(_one_line(error)) from None
        found = {
            name: value.expanduser().absolute()
            for name in ("data", "redis_users", "tls_cert", "tls_key")
            if (value := getattr(settings, name)) is not None
        }
        return settings.model_copy(update=found)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the gateway."""
        with suppress(ValueError):
            return ip_address(self.host).is_loopback
        return self.host == "localhost"

    @property
    def url(self) -> str:
        """Where this machine reaches the gateway, unless its port is any free one."""
        return formats.address(self.scheme, _FROM_HERE.get(self.host, self.host), self.port)

    @property
    def scheme(self) -> str:
        """How URLs of the gateway begin."""
        return "https" if self.tls_cert else "http"

    @property
    def is_embedded(self) -> bool:
        """Whether Redis is the embedded server."""
        return self.redis_url is None

    @property
    def redis(self) -> str:
        """URL for redis-py: ``REDIS_URL``, without its login if a file has them, or the socket."""
        if self.redis_url is None:
            return f"unix://{self.redis_socket}"
        return formats.without_login(self.redis_url) if self.redis_users else self.redis_url

    @property
    def redis_logins(self) -> Path | None:
        """File of the parts' logins; None when each logs in as ``REDIS_URL`` says."""
        return self.redis_users or (self.redis_folder / "users.json" if self.is_embedded else None)

    def shown(self) -> dict[str, str]:
        """Every setting by its variable's name, with passwords masked."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            variable(name): _shown(name, value) if value is not None else ""
            for name, value in values.items()
        }


def variable(field: str) -> str:
    """Name of the environment variable that sets *field*."""
    return "REDIS_URL" if field == "redis_url" else f"INVIGIL_{field.upper()}"


def without_settings(env: Mapping[str, str]) -> dict[str, str]:
    """Leave out of an environment what is set there for us, for who has no need of it."""
    ours = {variable(name) for name in Settings.model_fields}
    return {name: value for name, value in env.items() if name not in ours}


def _shown(field: str, value: object) -> str:
    return formats.masked(str(value), is_secret=field in SECRETS)


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = str(first["loc"][0]) if first["loc"] else "settings"
    field = "redis_url" if place == "REDIS_URL" else place
    seen = "***" if field == "key" else _shown(field, first["input"])
    allowed = formats.numbers(Settings.model_fields.get(field))
    said = allowed or first["msg"].removeprefix("Value error, ")
    return f"{variable(field)}: {seen!r} is not allowed: {said}"
