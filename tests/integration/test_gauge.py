"""Back-pressure: what there is no room for is turned away before it is taken, and only that."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs
from support.client import Client
from support.gateway import Http, problem
from support.metrics import value
from support.users import as_gateway
from support.waiting import wait_until

from filestore.store import Store
from ingest import gauge, pressure
from ingest.gateway import make_app
from ops import keys
from ops.settings import Settings

NDJSON = "application/x-ndjson"
ECHO = b'{"type":"echo","data":{"text":""}}\n'


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look all the time."""
    monkeypatch.setattr(gauge, "LOOK_EVERY_S", 0.01)


@contextlib.asynccontextmanager
async def serving(data: Path, server: Settings, **limits: Any) -> AsyncIterator[Http]:
    """Serve a gateway with limits; nobody dispatches."""
    async with as_gateway(server.redis) as client:
        settings = Settings(**{"data": data, "redis_url": server.redis, **limits})
        app = make_app(settings, client, Store(data / "exams"))
        async with TestClient(TestServer(app)) as http:
            yield http


async def until(http: Http, status: int, path: str = "/exams") -> None:
    """Send starts, or results, until they are answered so."""
    body = {"status": "pass"} if path.endswith("result") else {}
    seen = 0
    async with asyncio.timeout(30):
        while seen != status:
            seen = (await http.post(path, json=body)).status


def has_line(lines: Sequence[Mapping[str, object]], **keys: object) -> bool:
    """Whether there is a line with such keys."""
    return any(keys.items() <= line.items() for line in lines)


async def test_too_many_wait(tmp_path: Path, server: Settings, client: Client) -> None:
    """Starts are turned away first, results later; what was taken is kept, and none of the rest."""
    Store(tmp_path / "exams").prepare()
    (Store(tmp_path / "exams").path("a")).write_text("{}")
    async with serving(tmp_path, server, max_waiting=5) as http:
        with capture_logs() as lines:
            await until(http, 503)
            taken = client.xlen(keys.COMMANDS)
            are_told = partial(has_line, lines, what="start")
            await asyncio.to_thread(wait_until, are_told, saying="starts are turned away")
            refused = await http.post("/exams", json={})
            assert (503, "overloaded") == await problem(refused)
            assert "2" == refused.headers["Retry-After"]
            assert taken == client.xlen(keys.COMMANDS)
            assert 202 == (await http.post("/exams/a/result", json={"status": "pass"})).status
            await until(http, 503, "/exams/a/result")
            are_told = partial(has_line, lines, what="result")
            await asyncio.to_thread(wait_until, are_told, saying="results are turned away, too")
            client.xtrim(keys.COMMANDS, maxlen=0)
            await until(http, 202)

    assert 5 < taken < 3 * 5
    said = [line for line in lines if line["event"] in ("overloaded", "room_again")]
    assert ["start", "result", None] == [line.get("what") for line in said]
    assert said[-1]["turned_away"] >= 3
    assert not [line for line in lines if line["event"] == "request_failed"]


async def test_too_old(tmp_path: Path, server: Settings, client: Client) -> None:
    """What nobody has read for too long says that there is too much to do; read, it does not."""
    client.xadd(keys.COMMANDS, {"type": "echo", "data": '{"text":""}'}, id="1-1")
    client.xgroup_create(keys.COMMANDS, keys.GROUP, id="0")
    async with serving(tmp_path, server) as http:
        await until(http, 503)
        text = await (await http.get("/metrics")).text()
        client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"})
        await until(http, 202)
        after = await (await http.get("/metrics")).text()

    assert 1_000_000_000 < (value(text, "invigil_oldest_in_line_seconds") or 0)
    assert 0 < (value(text, "invigil_disk_free_bytes") or 0)
    assert [1, 0] == [value(now, "invigil_turning_away", kind="start") for now in (text, after)]


async def test_too_slow(
    tmp_path: Path, server: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crowd that is read too slowly says so before any of it has waited for long."""
    monkeypatch.setattr(pressure, "AT_ONCE", 1)
    client.xgroup_create(keys.COMMANDS, keys.GROUP, id="0", mkstream=True)
    for _ in range(pressure.NO_CROWD + 2):
        client.xadd(keys.COMMANDS, {"type": "echo", "data": '{"text":""}'})
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"}, count=1)
    async with serving(tmp_path, server, max_wait=60) as http:
        await until(http, 503)
        refused = await (await http.post("/exams", json={})).json()
        client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"})
        await until(http, 202)

    assert "would wait" in refused["detail"]


async def test_memory(tmp_path: Path, server: Settings, client: Client) -> None:
    """A Redis that is nearly full takes no more starts; one without a limit always does."""
    used = int(client.info("memory")["used_memory"])
    async with serving(tmp_path, server) as http:
        await until(http, 202)
        client.config_set("maxmemory", int(used / 0.85))
        try:
            await until(http, 503)
        finally:
            client.config_set("maxmemory", 0)
        await until(http, 202)


async def test_disk(
    tmp_path: Path, server: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is nearly full takes no more starts; one that does not answer is not full."""
    async with serving(tmp_path, server, min_disk=1 << 40) as http:
        await until(http, 503)

        def away(_: Path) -> os.statvfs_result:
            raise OSError

        monkeypatch.setattr(os, "statvfs", away)
        await until(http, 202)


async def test_a_long_body_waits(tmp_path: Path, server: Settings, client: Client) -> None:
    """A body of many commands is not refused but held up, and goes on when there is room."""
    async with serving(tmp_path, server, max_waiting=1000) as http:
        size = client.xlen(keys.COMMANDS)
        sending = asyncio.create_task(
            http.post("/commands", data=ECHO * 5_000, headers={"Content-Type": NDJSON})
        )
        for _ in range(30):
            await asyncio.to_thread(
                wait_until, partial(grew, client, size, sending), saying="it goes on"
            )
            if sending.done():
                break
            client.xtrim(keys.COMMANDS, maxlen=0)
            size = 0
        answers = (await (await sending).text()).splitlines()

    assert 5_000 == len(answers) == sum('"entry"' in answer for answer in answers)


def grew(client: Client, size: int, sending: "asyncio.Task[Any]") -> bool:
    """Whether more commands are there than the limit of such a body, or all were taken."""
    return sending.done() or client.xlen(keys.COMMANDS) > max(size, 500)


async def test_a_long_body_gives_up(
    tmp_path: Path, server: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no room for a long time it is told from which line on nothing was taken."""
    monkeypatch.setattr(gauge, "PATIENCE_S", 0.2)
    async with serving(tmp_path, server, max_waiting=100) as http:
        response = await http.post("/commands", data=ECHO * 5_000, headers={"Content-Type": NDJSON})
        answers = (await response.text()).splitlines()

    assert "overloaded" in answers[-1]
    assert len(answers) - 1 == client.xlen(keys.COMMANDS) < 5_000
