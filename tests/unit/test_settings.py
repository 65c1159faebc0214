"""Settings from the environment."""

import tempfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from ops.places import MAX_SOCKET_PATH
from ops.settings import BadSettings, Settings, variable


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    """Settings as a process with this environment reads them."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings.read()


def complaint(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    """What is said against a value."""
    with pytest.raises(BadSettings) as caught:
        read(monkeypatch, **{name: value})
    return str(caught.value)


def test_defaults_are_enough() -> None:
    """Without any setting there is a local gateway, an embedded Redis and two-minute exams."""
    settings = Settings.read()

    assert ("127.0.0.1", 8080, 120, 20) == (
        settings.host,
        settings.port,
        settings.exam_duration,
        settings.echo_delay,
    )
    assert settings.is_embedded


@pytest.mark.parametrize(
    ("name", "value", "field", "seen"),
    [
        ("REDIS_URL", "redis://h:1/2", "redis_url", "redis://h:1/2"),
        ("REDIS_URL", "unix:///r.sock", "redis_url", "unix:///r.sock"),
        ("REDIS_URL", "", "redis_url", None),
        ("INVIGIL_PORT", "0", "port", 0),
        ("INVIGIL_EXAM_DURATION", "604800", "exam_duration", 604_800),
        ("INVIGIL_ECHO_DELAY", "0.5", "echo_delay", 0.5),
        ("INVIGIL_MAIL_EVERY", "60", "mail_every", 60),
        ("INVIGIL_MAIL_TO", "head@school.test", "mail_to", "head@school.test"),
        ("INVIGIL_SMTP_URL", "smtps://u:p@h:465", "smtp_url", "smtps://u:p@h:465"),
        ("INVIGIL_SMTP_URL", "", "smtp_url", None),
        ("INVIGIL_TLS_CERT", "", "tls_cert", None),
        ("INVIGIL_TLS_KEY", "/k.pem", "tls_key", Path("/k.pem")),
        ("INVIGIL_DRAIN", "300", "drain", 300),
        ("INVIGIL_CORS_ORIGINS", "", "cors_origins", ""),
        (
            "INVIGIL_CORS_ORIGINS",
            "https://a.b, http://[::1]:80",
            "cors_origins",
            "https://a.b,http://[::1]:80",
        ),
        ("INVIGIL_EXAM_AUTOSCALE", " 8, 2 ", "exam_autoscale", "8,2"),
        ("INVIGIL_SLOW_AUTOSCALE", "1,1", "slow_autoscale", "1,1"),
        ("INVIGIL_LOG_LEVEL", "debug", "log_level", "debug"),
        ("INVIGIL_KEY_RATE", "5/minute", "key_rate", "5/minute"),
        ("INVIGIL_ADDRESS_RATE", "off", "address_rate", "off"),
        ("INVIGIL_DENIED_RATE", "", "denied_rate", "off"),
    ],
)
def test_environment_sets(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, seen: object
) -> None:
    """Each setting has one variable."""
    assert seen == getattr(read(monkeypatch, **{name: value}), field)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("REDIS_URL", "localhost:6379", "redis://, rediss://, unix://"),
        ("REDIS_URL", "http://localhost", "redis://, rediss://, unix://"),
        ("REDIS_URL", "redis://", "redis://, rediss://, unix://"),
        ("REDIS_URL", "redis://h:port/0", "port"),
        ("REDIS_URL", "redis://h:99999/0", "0-65535"),
        ("REDIS_URL", "redis://[::1", "IPv6"),
        ("REDIS_URL", "redis://h/abc", "database is a number"),
        ("REDIS_URL", "unix:///r.sock?db=x", "database is a number"),
        ("INVIGIL_DATA", "", "the name of a folder"),
        ("INVIGIL_STREAM_RETENTION", "-1", "a whole number, 0 or more"),
        ("INVIGIL_HOST", "", "at least 1 character"),
        ("INVIGIL_PORT", "", "whole number, 0 to 65535"),
        ("INVIGIL_PORT", "http", "whole number, 0 to 65535"),
        ("INVIGIL_PORT", "-1", "whole number, 0 to 65535"),
        ("INVIGIL_PORT", "65536", "0 to 65535"),
        ("INVIGIL_EXAM_DURATION", "0", "1 to 604800"),
        ("INVIGIL_EXAM_DURATION", "604801", "1 to 604800"),
        ("INVIGIL_EXAM_DURATION", "2 minutes", "whole number, 1 to 604800"),
        ("INVIGIL_ECHO_DELAY", "-0.1", "a number, 0 to 3600"),
        ("INVIGIL_ECHO_DELAY", "3601", "0 to 3600"),
        ("INVIGIL_ECHO_DELAY", "nan", "3600"),
        ("INVIGIL_ECHO_DELAY", "inf", "3600"),
        ("INVIGIL_MAIL_EVERY", "0", "1 to 86400"),
        ("INVIGIL_MAIL_EVERY", "86401", "1 to 86400"),
        ("INVIGIL_ORPHAN_AFTER", "0", "1 to 86400"),
        ("INVIGIL_ORPHAN_AFTER", "86401", "1 to 86400"),
        ("INVIGIL_MAIL_TO", "head", "name@host"),
        ("INVIGIL_MAIL_TO", "head@", "name@host"),
        ("INVIGIL_MAIL_TO", "a@b, c@d", "name@host"),
        ("INVIGIL_MAIL_TO", "a@b\nBcc: c@d", "name@host"),
        ("INVIGIL_MAIL_FROM", '"A" <a@b>', "name@host"),
        ("INVIGIL_SMTP_URL", "mail.school.test", "smtp://, smtp+starttls://, smtps://"),
        ("INVIGIL_SMTP_URL", "smtp://h:99999", "0-65535"),
        ("INVIGIL_DRAIN", "301", "0 to 300"),
        ("INVIGIL_MAX_CONNECTIONS", "0", "1 to 1000000"),
        ("INVIGIL_CORS_ORIGINS", "*", "https://exams.example.org"),
        ("INVIGIL_CORS_ORIGINS", "null", "https://exams.example.org"),
        ("INVIGIL_CORS_ORIGINS", "https://a.b/", "https://exams.example.org"),
        ("INVIGIL_CORS_ORIGINS", "https://a.b?c", "https://exams.example.org"),
        ("INVIGIL_CORS_ORIGINS", "https://a.b,c.d", "https://exams.example.org"),
        ("INVIGIL_CORS_ORIGINS", "https://A.b", "https://exams.example.org"),
        ("INVIGIL_EXAM_AUTOSCALE", "4", "MAX,MIN"),
        ("INVIGIL_EXAM_AUTOSCALE", "4,1,1", "MAX,MIN"),
        ("INVIGIL_KEY_RATE", "1000", "NUMBER/second, NUMBER/minute"),
        ("INVIGIL_KEY_RATE", "0/second", "NUMBER/second"),
        ("INVIGIL_ADDRESS_RATE", "1.5/second", "such as 1000/second; off"),
        ("INVIGIL_ADDRESS_RATE", "10/day", "NUMBER/hour"),
        ("INVIGIL_DENIED_RATE", "٣/second", "NUMBER/second"),
        ("INVIGIL_DENIED_RATE", "60/minute\n", "NUMBER/second"),
        ("INVIGIL_MAIL_AUTOSCALE", "1,4", "MIN <= MAX"),
        ("INVIGIL_SLOW_AUTOSCALE", "4,0", "1 <= MIN"),
        ("INVIGIL_SLOW_AUTOSCALE", "4,-1", "MAX,MIN"),
        ("INVIGIL_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("INVIGIL_LOG_FORMAT", "xml", "'auto', 'json' or 'console'"),
    ],
)
def test_bad_value_is_one_helpful_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    """A value that is not allowed ends in one line: the variable, the value, what is allowed."""
    line = complaint(monkeypatch, name, value)

    assert line.startswith(f"{name}: {value!r} is not allowed: ")
    assert allowed in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INVIGIL_SMTP_URL", "smtp://me:geheim@h:99999"),
        ("REDIS_URL", "http://:geheim@h"),
        ("REDIS_URL", "redis://me:ge@heim@h:port"),
        ("REDIS_URL", "redis://me:x/geheim@h"),
        ("REDIS_URL", "redis://me:geheim@[h"),
    ],
)
def test_complaint_keeps_secrets(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A line about a bad URL does not show the password in it, however it is broken."""
    line = complaint(monkeypatch, name, value)

    assert "heim" not in line
    assert line.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://me:geheim@h:1/0"),
        ("REDIS_URL", "unix://:geheim@/run/r.sock"),
        ("REDIS_URL", "redis://h:1/0?password=geheim"),
        ("INVIGIL_SMTP_URL", "smtp+starttls://me:ge%40heim@h"),
    ],
)
def test_shown_settings_keep_secrets(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """What a part logs at its start shows the server but not the password."""
    shown = read(monkeypatch, **{name: value}).shown()

    assert "heim" not in str(shown)
    assert shown[name] != value


def test_shown_settings_are_all_of_them() -> None:
    """What is shown are all settings by their variables, those that are unset as empty."""
    shown = Settings.read().shown()

    assert set(shown) == {variable(name) for name in Settings.model_fields}
    assert (shown["REDIS_URL"], shown["INVIGIL_PORT"]) == ("", "8080")


@pytest.mark.parametrize("host", ["x://[", "://", "a@b"])
def test_any_setting_can_be_shown(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Showing the settings never fails: what is odd is shown as it is."""
    shown = read(monkeypatch, INVIGIL_HOST=host).shown()

    assert shown["INVIGIL_HOST"] == host


def test_frozen() -> None:
    """Nobody changes a setting on the way."""
    settings, field = Settings.read(), "port"

    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, field, 1)


def test_data_folder_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A part that changes its folder later still finds the data."""
    monkeypatch.chdir(tmp_path)

    settings = read(monkeypatch, INVIGIL_DATA="var", INVIGIL_TLS_CERT="a.pem")

    assert settings.exams == tmp_path / "var/exams"
    assert settings.tls_cert == tmp_path / "a.pem"


def test_home_is_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A data folder under ``~`` is under the home folder, also where no shell replaced it."""
    monkeypatch.setenv("HOME", str(tmp_path))

    assert read(monkeypatch, INVIGIL_DATA="~/exams").data == tmp_path / "exams"


def test_socket_lies_in_the_data_folder() -> None:
    """The embedded server's socket is with its data."""
    settings = Settings.read(data=Path("/srv/invigil"))

    assert settings.redis == "unix:///srv/invigil/redis/redis.sock"


def test_long_data_path_gives_a_short_socket() -> None:
    """Where the path is too long for a socket, a short one is made, the same for all parts."""
    long = Path("/srv") / ("x" * 120)
    sockets = [Settings.read(data=path).redis_socket for path in (long, long, long / "y")]

    assert sockets[0] == sockets[1] != sockets[2]
    assert sockets[0].is_relative_to(tempfile.gettempdir())
    assert len(bytes(sockets[0])) <= MAX_SOCKET_PATH


def test_length_of_a_socket_counts_bytes() -> None:
    """A path of few characters and many bytes is too long as well."""
    settings = Settings.read(data=Path("/srv") / ("é" * 45))

    assert settings.redis_socket.is_relative_to(tempfile.gettempdir())


def test_redis_url_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``REDIS_URL`` that server is used, and none is embedded."""
    settings = read(monkeypatch, REDIS_URL="redis://h/0")

    assert ("redis://h/0", False) == (settings.redis, settings.is_embedded)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a@b@c",
            ":@a",
            "a:b@c",
            "(a)b@c",
            "a\\@b",
            "[a]@b",
            "a.@b",
            "@",
            "a@.b",
            "a b@c",
            "a@b\n",
        ),
        *("=?utf-8?q?x=40evil.test=2C?=@b.c", "=?utf-8?b?YUBiLCBjQGQ=?=@b.c", "x" * 260 + "@b.c"),
    ],
)
def test_mailbox_is_one(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What a mail program could read as a group, a comment, or a second address is refused."""
    assert "name@host" in complaint(monkeypatch, "INVIGIL_MAIL_TO", text)


@pytest.mark.parametrize(
    "value", ["me:geheim@h", "redis://:a\ngeheim@h", "redis://h?password=a#geheim"]
)
def test_odd_secrets_are_masked(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Nor is a password shown that stands where no URL has one."""
    monkeypatch.setenv("REDIS_URL", value)
    try:
        said = str(Settings.read().shown())
    except BadSettings as error:
        said = str(error)

    assert "geheim" not in said


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("rediss://me:ge%40heim@h:1/0?ssl_ca_certs=/a%20b", "rediss://h:1/0?ssl_ca_certs=%2Fa+b"),
        ("unix://me:geheim@/r.sock?db=1", "unix:///r.sock?db=1"),
        ("unix:///r.sock?username=me&password=geheim", "unix:///r.sock"),
        ("redis://me:geheim@[::1]:1/0", "redis://[::1]:1/0"),
    ],
)
def test_logins_replace_the_urls(monkeypatch: pytest.MonkeyPatch, url: str, bare: str) -> None:
    """Where a file has the parts' logins, none is taken from ``REDIS_URL``."""
    settings = read(monkeypatch, REDIS_URL=url, INVIGIL_REDIS_USERS="/etc/users.json")

    assert (bare, Path("/etc/users.json")) == (settings.redis, settings.redis_logins)


def test_who_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded server's logins lie with it; any other's are in its URL, or nowhere."""
    embedded = Settings.read(data=Path("/srv/invigil"))

    assert Path("/srv/invigil/redis/users.json") == embedded.redis_logins
    assert read(monkeypatch, REDIS_URL="redis://h", INVIGIL_REDIS_USERS="").redis_logins is None
