"""Fixtures that every folder may use."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from support.breakable import Breakable
from support.server import is_valkey, program
from support.stack import CALLERS, Stack, running
from support.users import add_admin, admin

from ops import embedded, outage
from ops.settings import Settings


def pytest_configure() -> None:
    """
    Forget the caller's settings, before anything imports `tasks`, which reads them once.

    Nothing of them decides a test, and no test writes into the caller's data folder.
    """
    for name in list(os.environ):
        if name.startswith(CALLERS) and name != "INVIGIL_TEST_SERVER":
            del os.environ[name]
    os.environ["INVIGIL_DATA"] = str(Path(tempfile.gettempdir()) / "invigil-tests-unused")


@pytest.fixture(autouse=True)
def _nothing_is_away() -> None:
    """What one test broke is not said to be back by the next one in the same process."""
    for one in outage.ALL:
        one.forget()


@pytest.fixture(scope="session")
def server_program() -> Path:
    """The server that the tests run on: ``redis`` on PATH, or the ``valkey`` that we bring."""
    return program()


@pytest.fixture(scope="session")
def server(server_program: Path) -> Iterator[Settings]:
    """A private server for tests that talk to Redis and start no process of their own."""
    with tempfile.TemporaryDirectory(prefix="invigil-") as folder:
        settings = Settings(data=Path(folder))
        add_admin(settings)
        with embedded.running(settings, server=server_program):
            yield settings


@pytest.fixture
def client(server: Settings) -> Iterator[redis.Redis]:
    """The administrator of the private server, which is empty."""
    with admin(server.redis) as client:
        client.flushall()
        yield client


@pytest.fixture
def breakable(tmp_path: Path, server_program: Path) -> Iterator[Breakable]:
    """A running Redis of the test's own, to be frozen or killed, and its end."""
    server = Breakable(tmp_path / "redis", server_program)
    yield server
    server.kill()


@pytest.fixture(scope="session")
def redis_url(server_program: Path) -> Iterator[str | None]:
    """
    What ``REDIS_URL`` is for a stack: unset for the embedded server.

    For the server on PATH a private one is started, as an operator would have one running.
    """
    if is_valkey():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="invigil-") as folder:
        settings = Settings(data=Path(folder))
        add_admin(settings)
        with embedded.running(settings, server=server_program):
            yield settings.redis


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, redis_url: str | None) -> Iterator[Stack]:
    """
    A running system that a module's tests share: each uses exams of its own.

    A module that breaks more than a part, or needs other settings, has a fixture of this name.
    """
    folder = tmp_path_factory.mktemp("stack")
    with running(folder, redis_url=redis_url, mail_every=3600) as stack:
        yield stack
