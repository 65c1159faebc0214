"""The gateway while Redis is away in one of its many ways, and when it is back."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis
from support.breakable import Breakable
from support.gateway import Http, on_stream, problem, serving
from support.users import admin
from support.waiting import wait_until

from filestore.store import Store
from ingest.answering import ANSWER_LIMIT_S
from ingest.commands import Echo


@pytest.fixture
def client(breakable: Breakable) -> Iterator[Redis]:
    """The test's own view of Redis."""
    with admin(breakable.url) as client:
        yield client


@pytest.fixture
async def http(breakable: Breakable, tmp_path: Path) -> AsyncIterator[Http]:
    """A client of a gateway whose Redis can break."""
    async with serving(breakable.url, Store(tmp_path / "exams")) as http:
        yield http


async def test_no_answer_before_the_entry(http: Http, breakable: Breakable, client: Redis) -> None:
    """The 202 waits for Redis: as long as Redis has not answered, nothing is promised."""
    await http.post("/echo", json={"text": "first"})
    breakable.freeze()

    post = asyncio.create_task(http.post("/echo", json={"text": "second"}))
    await asyncio.wait({post}, timeout=0.3)
    assert not post.done()
    breakable.thaw()

    response = await post
    assert response.status == 202
    assert (await response.json())["entry"] in on_stream(client)


async def test_frozen_redis(http: Http, breakable: Breakable, client: Redis) -> None:
    """While Redis hangs every door says so, in bounded time, and all work when it goes on."""
    await http.post("/echo", json={"text": "before"})
    breakable.freeze()
    began = time.monotonic()

    result = http.post("/exams/math-7/result", json={"status": "pass"})
    answers = await asyncio.gather(result, http.post("/exams", json={}))
    ready = await http.get("/readyz")
    breakable.thaw()

    assert time.monotonic() - began < ANSWER_LIMIT_S + 2
    for response in (*answers, ready):
        assert await problem(response) == (503, "unavailable")
        assert response.headers["Retry-After"] == "2"
    assert (await ready.json(content_type=None))["redis"] == "away"
    after = await http.post("/echo", json={"text": "after"})
    assert on_stream(client)[(await after.json())["entry"]].data == Echo(text="after")
    assert (await http.get("/readyz")).status == 200


async def test_killed_redis(http: Http, breakable: Breakable, client: Redis) -> None:
    """Without Redis a command is not taken; the next one is, when Redis is back."""
    first = await (await http.post("/echo", json={"text": "before"})).json()
    breakable.kill()

    refused = await http.post("/echo", json={"text": "meanwhile"})
    live = await http.get("/livez")
    breakable.start()
    again = await (await http.post("/echo", json={"text": "after"})).json()

    assert await problem(refused) == (503, "unavailable")
    assert live.status == 200
    assert [first["entry"], again["entry"]] == list(on_stream(client))


async def test_full_redis(http: Http, client: Redis) -> None:
    """A Redis that is out of memory is away like any other, or said to be full: come again."""
    client.config_set("maxmemory", "1")

    response = await http.post("/echo", json={"text": "hi"})

    assert await problem(response) in ((503, "unavailable"), (503, "overloaded"))


@pytest.mark.parametrize("how", ["memory", "replica", "forged"])
async def test_ready_means_taking(http: Http, client: Redis, how: str) -> None:
    """A Redis that answers a PING and would take no command is not ready; asking leaves nothing."""
    assert 200 == (await http.get("/readyz")).status
    assert [] == client.keys("*")
    match how:
        case "memory":
            client.config_set("maxmemory", "1")
        case "replica":
            client.replicaof("127.0.0.1", "1")
        case "forged":
            client.xadd("invigil:commands", {"type": "x"}, id=f"{2**64 - 1}-{2**64 - 1}")
    assert client.ping()

    ready = await http.get("/readyz")
    post = await http.post("/echo", json={"text": "hi"})

    assert (503, "unavailable") == await problem(ready)
    assert 503 == (await problem(post))[0]  # full, as the gateway may have seen before
    assert {"2"} == {answer.headers["Retry-After"] for answer in (ready, post)}


async def test_disk_that_does_not_answer(http: Http, tmp_path: Path) -> None:
    """An exam whose file cannot be looked at is not unknown: come again, and nothing was taken."""
    path = Store(tmp_path / "exams").path("math-7")
    path.parent.mkdir(parents=True)
    path.symlink_to(path)  # a circle: neither a file nor none

    shown = await http.get("/exams/math-7")
    result = await http.post("/exams/math-7/result", json={"status": "pass"})

    assert (503, "unavailable") == await problem(shown) == await problem(result)
    assert "disk" in (await result.json(content_type=None))["detail"]


async def test_redis_with_full_disk(http: Http, breakable: Breakable, client: Redis) -> None:
    """A Redis that cannot save (MISCONF) is away like any other: come again."""
    (breakable.folder / "dump.rdb").mkdir()
    client.config_set("save", "900 1")
    client.bgsave()
    failed = lambda: client.info()["rdb_last_bgsave_status"] == "err"  # noqa: E731
    wait_until(failed, saying="the snapshot failed")

    response = await http.post("/echo", json={"text": "hi"})

    assert await problem(response) == (503, "unavailable")
