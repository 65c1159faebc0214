"""Fixtures for tests that break what the system stands on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.breakable import Breakable


@pytest.fixture(scope="module")
def breakable(
    tmp_path_factory: pytest.TempPathFactory, server_program: Path
) -> Iterator[Breakable]:
    """A Redis of the module's own, to be frozen, killed and misconfigured."""
    server = Breakable(tmp_path_factory.mktemp("server") / "redis", server_program)
    yield server
    server.kill()
