"""Door: a gateway of a bench's own, with a Redis that nobody reads from."""

import contextlib
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from redis import Redis

from filestore.store import Store
from ops import embedded, keys, logins
from ops.bench.tools import CannotMeasure
from ops.leash import leashed
from ops.preflight import free_port
from ops.private_stack import own_environment
from ops.roles import Role
from ops.settings import Settings, variable

#: Seconds for a server to answer.
READY_LIMIT_S = 30.0
LOOK_S = 0.02
#: Settings under which nothing is turned away: what is measured is how fast it is taken.
OPEN = {
    "key_rate": "off",
    "address_rate": "off",
    "max_waiting": 1_000_000_000,
    "max_wait": 86_400,
    "mail_every": 3600,
}


@contextlib.contextmanager
def serving(argv: Sequence[str], url: str, **variables: str) -> Iterator[None]:
    """
    Run a server in a process of its own, until it is not needed any more.

    Raises:
        CannotMeasure: It does not answer.
    """
    process = subprocess.Popen(
        leashed((sys.executable, "-m", *argv), end_with=signal.SIGTERM),
        env={**own_environment("OTEL_"), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + READY_LIMIT_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > until:
                raise CannotMeasure(f"{argv[0]} does not answer at {url}")
            time.sleep(LOOK_S)
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def gateway(folder: Path) -> Iterator[tuple[str, Redis]]:
    """Run a gateway on a data folder and a server of its own; yield its address and its Redis."""
    settings = Settings(data=folder, redis_url=None, port=free_port("127.0.0.1"))
    Store(settings.exams).prepare()
    url = f"http://127.0.0.1:{settings.port}"
    own = {"data": folder, "port": settings.port, "log_format": "json", **OPEN}
    with (
        embedded.running(settings),
        logins.connect(settings, Role.DISPATCHER) as client,
        serving(
            ("ops.cli", "gateway"),
            f"{url}/livez",
            **{variable(name): str(value) for name, value in own.items()},
        ),
    ):
        yield url, client


def empty(client: Redis) -> None:
    """Forget all commands, so that each round finds the same."""
    client.xtrim(keys.COMMANDS, maxlen=0)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own address
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
