"""Redis over TLS: the whole system, and certificates that are not believed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from kombu.connection import Connection
from support.breakable import Breakable
from support.stack import running
from support.tls_door import opened
from support.users import known
from support.waiting import wait_until

from ops import preflight
from ops.preflight import Refusal
from ops.settings import Settings
from tasks.broker import broker_url

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whoever signs certificates here."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """The file by which parts believe that authority."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


def url(port: int, ca_file: Path, *, host: str = "localhost") -> str:
    """Name the server behind a door."""
    return f"rediss://{host}:{port}/0?ssl_ca_certs={ca_file}"


def test_whole_system(
    breakable: Breakable, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    """Over TLS, each part as its own user, an exam passes, an echo is printed, a mail is sent."""
    socket, logins = breakable.folder / "redis.sock", known(breakable.url)
    with (
        opened(socket, authority.issue_cert("localhost")) as port,
        running(
            tmp_path,
            redis_url=None,
            variables={"REDIS_URL": url(port, ca_file), "INVIGIL_REDIS_USERS": str(logins)},
            mail_every=1,
        ) as stack,
    ):
        assert 202 == stack.post("/exams", {"pk": "a"}).status
        assert 202 == stack.post("/exams/a/result", {"status": "pass"}).status
        assert 202 == stack.post("/echo", {"text": "hello", "delay": 0}).status
        wait_until(lambda: stack.has_status("a", "pass"), saying="the exam has passed")
        wait_until(lambda: stack.lines("echo_printed"), saying="the echo is printed")
        wait_until(lambda: stack.lines("mail_sent"), saying="a mail is sent")
        assert not [line for line in stack.lines() if "insecure" in line["event"].lower()]


@pytest.fixture
def doors(breakable: Breakable, authority: trustme.CA) -> Iterator[dict[str, int]]:
    """Doors with certificates that nobody should believe."""
    socket = breakable.folder / "redis.sock"
    expired = authority.issue_cert(
        "localhost", not_before=LONG_AGO, not_after=LONG_AGO + timedelta(days=1)
    )
    strangers = trustme.CA().issue_cert("localhost")
    with (
        opened(socket, expired) as old,
        opened(socket, strangers) as strange,
        opened(socket, authority.issue_cert("elsewhere")) as other,
    ):
        yield {"expired": old, "strange": strange, "other": other}


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("expired", "certificate has expired"),
        ("strange", "unable to get local issuer certificate"),
        ("other", "Hostname mismatch"),
    ],
)
def test_certificate_is_not_believed(
    doors: dict[str, int], breakable: Breakable, ca_file: Path, which: str, said: str
) -> None:
    """`up` says which server it does not believe and why, and starts nothing."""
    settings = Settings(
        redis_url=url(doors[which], ca_file), redis_users=known(breakable.url), port=0
    )

    with pytest.raises(Refusal, match=said) as caught:
        preflight.complete(settings)

    assert f"REDIS_URL: rediss://localhost:{doors[which]}/0" in str(caught.value)


def test_no_such_authority(breakable: Breakable, tmp_path: Path, doors: dict[str, int]) -> None:
    """A file of an authority that is not there is said, too."""
    missing = Settings(
        redis_url=url(doors["other"], tmp_path / "none.pem"),
        redis_users=known(breakable.url),
        port=0,
    )

    with pytest.raises(Refusal, match=r"REDIS_URL: .* does not answer: .*[Nn]o such file"):
        preflight.complete(missing)


def test_worker_believes_nobody_either(breakable: Breakable, doors: dict[str, int]) -> None:
    """Celery's own connection, which would believe anyone, does not when nothing is said."""
    spelled = broker_url(f"rediss://localhost:{doors['strange']}/0")
    with (
        Connection(spelled) as connection,  # type: ignore[no-untyped-call]
        pytest.raises(connection.connection_errors, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        connection.connect()
