"""What every answer tells browsers, and which other sites' pages may call."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from redis import Redis
from support.gateway import Http
from support.users import as_gateway

from filestore.store import Store
from ingest import keyring
from ingest.access import Scope, new_key
from ingest.gateway import make_app
from ingest.hardening import HEADERS
from ops.settings import Settings

SITE = "https://exams.example.org"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "prefer"}


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Http]:
    """A client of a gateway with these settings."""
    async with as_gateway(settings.redis) as client:
        app = make_app(settings, client, Store(settings.exams))
        async with TestClient(TestServer(app)) as http:
            yield http


@pytest.fixture
def settings(server: Settings, client: Redis, tmp_path: Path) -> Settings:
    """Of a gateway that asks nobody for a key."""
    return Settings(redis_url=server.redis, data=tmp_path)


@pytest.mark.parametrize(
    "path", ["/livez", "/exams/x", "/none", "/openapi.json", "/events", "/docs"]
)
async def test_every_answer(settings: Settings, path: str) -> None:
    """Answers of all kinds have the headers, the page its own policy, and none says what serves."""
    async with serving(settings) as http, http.get(path) as said:
        found = {name: said.headers[name] for name in HEADERS}

    policy = found.pop("Content-Security-Policy")
    assert found == {name: HEADERS[name] for name in found}
    assert ("style-src" in policy) == (path == "/docs")
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("; frame-ancestors 'none'")
    assert "Strict-Transport-Security" not in said.headers


async def test_no_other_site(settings: Settings) -> None:
    """Unless it is set, no other site's page may call: its browser is told nothing."""
    async with serving(settings) as http:
        async with http.options("/exams", headers={"Origin": SITE, **PREFLIGHT}) as asked:
            assert asked.status == 405
        async with http.get("/exams", headers={"Origin": SITE}) as said:
            pass
    assert not [name for name in (*asked.headers, *said.headers) if name.startswith("Access-")]
    assert "Vary" not in said.headers


async def test_named_sites(settings: Settings) -> None:
    """A page of a site that is named may ask and send, without a key for the question alone."""
    key, token = new_key("room", Scope.WRITE, now_ms=0)
    with keyring.changing(keyring.file_of(settings.data)) as keys:
        keys[key.id] = key
    shown = {"Origin": SITE, "Authorization": f"Bearer {token}"}
    named = settings.model_copy(update={"cors_origins": f"http://a,{SITE}"})
    async with serving(named) as http:
        async with http.options("/exams", headers={"Origin": SITE, **PREFLIGHT}) as asked:
            pass
        async with http.post("/exams", json={}, headers=shown) as said:
            assert said.status == 202
        async with http.get("/events", headers=shown) as events:
            assert events.status == 200
        async with http.get("/livez") as other:
            assert other.status == 200

    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Origin"] == SITE
    assert asked.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert "Prefer" in asked.headers["Access-Control-Allow-Headers"]
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    assert said.headers["Access-Control-Allow-Origin"] == SITE
    assert "Location" in said.headers["Access-Control-Expose-Headers"]
    assert events.headers["Access-Control-Allow-Origin"] == SITE
    assert (other.headers["Vary"], said.headers["Vary"]) == ("Origin", "Origin")
    assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.parametrize("origin", [f"{SITE}.evil.test", "http://exams.example.org", "null", "*"])
async def test_other_sites(settings: Settings, origin: str) -> None:
    """An origin is the same to the letter, or it is another one."""
    named = settings.model_copy(update={"cors_origins": SITE})
    async with serving(named) as http:
        async with http.options("/exams", headers={"Origin": origin, **PREFLIGHT}) as asked:
            assert asked.status == 405
        async with http.get("/exams", headers={"Origin": origin}) as said:
            pass
    assert not [name for name in (*asked.headers, *said.headers) if name.startswith("Access-")]
