"""Server: which program the tests run on."""

import os
import shutil
from pathlib import Path

from ops import embedded


def is_valkey() -> bool:
    """Whether the tests run on the server that we bring, rather than on the one on PATH."""
    return os.environ.get("INVIGIL_TEST_SERVER", "valkey") == "valkey"


def program() -> Path:
    """Find the server program that ``INVIGIL_TEST_SERVER`` asks for."""
    if is_valkey():
        return embedded.find_server()
    found = shutil.which("redis-server")
    assert found, "INVIGIL_TEST_SERVER=redis, and no redis-server on PATH"
    return Path(found)
