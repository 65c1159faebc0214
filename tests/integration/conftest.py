"""Fixtures for tests that talk to a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.breakable import Breakable


@pytest.fixture
def breakable(tmp_path: Path, server_program: Path) -> Iterator[Breakable]:
    """A running Redis of the test's own, to be frozen or killed, and its end."""
    server = Breakable(tmp_path / "redis", server_program)
    yield server
    server.kill()
