"""A body of many commands while something ends: the client, Redis, the gateway."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession
from redis import Redis
from support.breakable import Breakable
from support.gateway import Process, process
from support.users import admin
from support.waiting import wait_until

from ingest.lines import NDJSON
from ops import keys

TYPE = {"Content-Type": NDJSON}


@pytest.fixture
def client(breakable: Breakable) -> Iterator[Redis]:
    """The test's own view of Redis."""
    with admin(breakable.url) as client:
        yield client


@pytest.fixture
def gateway(breakable: Breakable, tmp_path: Path) -> Iterator[Process]:
    """A gateway whose Redis can break."""
    with process(tmp_path, breakable.url) as gateway:
        gateway.url()
        yield gateway


def starts(first: int, last: int) -> bytes:
    """Lines that start exams by these numbers."""
    line = '{{"type":"exam.start","data":{{"pk":"exam-{}"}}}}\n'
    return "".join(line.format(number) for number in range(first, last + 1)).encode()


async def until(fact: Callable[[], object], saying: str) -> None:
    """Wait for a fact beside what goes on in the loop."""
    await asyncio.to_thread(wait_until, fact, saying=saying)


class Upload:
    """A body that is sent when the test says so."""

    def __init__(self, gateway: Process) -> None:
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.answer = asyncio.create_task(self._post(f"{gateway.url()}/commands"))

    def send(self, *pieces: bytes | None) -> None:
        """Send some of it; None is its end."""
        for piece in pieces:
            self._pieces.put_nowait(piece)

    async def _body(self) -> AsyncIterator[bytes]:
        while piece := await self._pieces.get():
            yield piece

    async def _post(self, url: str) -> tuple[int, list[dict[str, Any]]]:
        async with ClientSession() as http, http.post(url, data=self._body(), headers=TYPE) as said:
            return said.status, [json.loads(line) async for line in said.content]


def named(said: list[dict[str, Any]]) -> list[str]:
    """Of each answer the name of its problem, or the pk."""
    return [
        line["problem"]["type"].rpartition(":")[2] if "problem" in line else line["pk"]
        for line in said
    ]


async def test_client_that_goes(gateway: Process, client: Redis) -> None:
    """What was whole is taken from a client whose connection ends; half a line never is."""
    where = urlsplit(gateway.url())
    with socket.create_connection((where.hostname, where.port)) as connection:
        head = f"POST /commands HTTP/1.1\r\nHost: a\r\nContent-Type: {NDJSON}\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        connection.sendall(starts(1, 2)[:-1])
        await until(lambda: client.xlen(keys.COMMANDS), "the whole line is taken")
    await until(lambda: gateway.lines("bulk_read"), "the gateway has seen the end")

    [line] = gateway.lines("bulk_read")
    assert (line["taken"], line["refused"]) == (1, 1)
    assert line["detail"].startswith("line 2: the body ended early")
    assert client.xlen(keys.COMMANDS) == len(gateway.lines("accepted")) == 1
    assert not gateway.lines("request_failed")


async def test_redis_goes_midway(gateway: Process, client: Redis, breakable: Breakable) -> None:
    """Behind a command that Redis did not take none is taken, though Redis is back by then."""
    upload = Upload(gateway)
    upload.send(starts(1, 2))
    await until(lambda: client.xlen(keys.COMMANDS) == 2, "the first are taken")
    breakable.kill()
    upload.send(starts(3, 3))
    await until(lambda: gateway.lines("request_failed"), "Redis is missed")
    breakable.start()
    upload.send(b"no command\n", starts(5, 6), None)
    status, said = await upload.answer

    away = "unavailable"
    assert status == 200
    assert [line["line"] for line in said] == [1, 2, 3, 4, 5, 6]
    assert named(said) == ["exam-1", "exam-2", away, "not-json", away, away]
    assert "is not known" in said[2]["problem"]["detail"]
    assert "was not taken" in said[4]["problem"]["detail"]
    assert client.xlen(keys.COMMANDS) == 2
    assert len(gateway.lines("request_failed")) == 1


async def test_redis_goes_amid_many(gateway: Process, client: Redis, breakable: Breakable) -> None:
    """So it is with commands that go together: none is taken behind the first that was lost."""
    upload = Upload(gateway)
    upload.send(starts(1, 40))
    await until(lambda: gateway.lines("bulk_accepted"), "told of, though nothing follows")
    assert client.xlen(keys.COMMANDS) == 40
    breakable.kill()
    upload.send(starts(41, 80))
    await until(lambda: gateway.lines("unavailable"), "there is no answer")
    upload.send(starts(81, 120))
    await until(lambda: gateway.lines("request_failed"), "Redis is missed")
    breakable.start()
    upload.send(starts(121, 160), None)
    status, said = await upload.answer

    assert status == 200
    assert [line["line"] for line in said] == [*range(1, 161)]
    assert named(said) == [f"exam-{n}" for n in range(1, 41)] + ["unavailable"] * 120
    assert "is not known" in said[40]["problem"]["detail"]
    assert {"was not taken" in line["problem"]["detail"] for line in said[120:]} == {True}
    assert client.xlen(keys.COMMANDS) == 40
    told = [name for line in gateway.lines("bulk_accepted") for name in line["command_ids"]]
    assert told == [line["command_id"] for line in said[:40]]
    assert len(gateway.lines("request_failed")) == 1


async def test_redis_is_away(gateway: Process, breakable: Breakable) -> None:
    """Where Redis takes nothing of it, the request has failed as any other would."""
    breakable.kill()

    async with ClientSession() as http:
        body = starts(1, 3)
        async with http.post(f"{gateway.url()}/commands", data=body, headers=TYPE) as said:
            assert (said.status, said.headers["Retry-After"]) == (503, "2")
            assert said.content_type == "application/problem+json"
    assert not gateway.lines("bulk_read")


async def test_gateway_ends_midway(gateway: Process, client: Redis) -> None:
    """A gateway that is asked to end tells at once how far the body came, and takes no more."""
    upload = Upload(gateway)
    upload.send(starts(1, 2) + starts(3, 3)[:-5])
    await until(lambda: client.xlen(keys.COMMANDS) == 2, "the first are taken")

    gateway.process.send_signal(signal.SIGTERM)
    status, said = await asyncio.wait_for(upload.answer, 4)  # its grace

    assert (status, named(said)) == (200, ["exam-1", "exam-2", "unavailable"])
    assert said[2]["line"] == 3
    assert await asyncio.to_thread(gateway.end) == (0, "")
    assert client.xlen(keys.COMMANDS) == 2


async def test_memory_is_flat(gateway: Process) -> None:
    """The answers to a hundred thousand lines, 27 MB, take none of the gateway's memory."""
    line = b"1\n"  # no command: nothing but its answer is made of it
    peaks = []
    async with ClientSession() as http:
        for count in (10_000, 100_000):
            body = line * count
            async with http.post(f"{gateway.url()}/commands", data=body, headers=TYPE) as said:
                assert sum([b'"problem"' in one async for one in said.content]) == count
            peaks.append(_peak_bytes(gateway.process.pid))

    assert peaks[1] - peaks[0] < 8_000_000


def _peak_bytes(pid: int) -> int:
    """The most memory that a process has had; nothing where no system tells."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
