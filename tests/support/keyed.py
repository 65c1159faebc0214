"""Keyed: a gateway of a data folder, in the test's own process, and keys to call it with."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from filestore.store import Store
from ingest import access, keyring
from ingest.access import Scope
from ingest.gateway import make_app
from ops.settings import Settings
from support.gateway import Http
from support.users import as_gateway


@contextlib.asynccontextmanager
async def serving(data: Path, redis_url: str, **settings: Any) -> AsyncIterator[Http]:
    """Serve a gateway of a data folder."""
    settings = {"data": data, "redis_url": redis_url, **settings}
    async with as_gateway(redis_url) as client:
        app = make_app(Settings(**settings), client, Store(data / "exams"))
        async with TestClient(TestServer(app)) as http:
            yield http


def make(data: Path, scope: Scope, *, expires_ms: int | None = None) -> dict[str, str]:
    """Make a key; return the header that shows it."""
    key, token = access.new_key("room", scope, now_ms=0, expires_ms=expires_ms)
    with keyring.changing(keyring.file_of(data)) as found:
        found[key.id] = key
    return {"Authorization": f"Bearer {token}"}


def id_of(header: dict[str, str]) -> str:
    """Read the key's id."""
    return header["Authorization"].split("_")[1]


def revoke(data: Path, header: dict[str, str]) -> None:
    """Take a key back."""
    with keyring.changing(keyring.file_of(data)) as found:
        found.update(access.revoke(found, id_of(header), now_ms=1))
