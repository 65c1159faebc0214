"""Express: a gateway whose connections take ordinary starts, and a line on which to ask it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiohttp import web

from filestore.store import Store
from ingest.connections import Connections
from ingest.express import Express
from ingest.gateway import EXPRESS, make_app
from ingest.pressure import Kind
from ops.settings import Settings
from support.raw_http import HEAD_END, RawAnswer, parsed
from support.users import as_gateway

#: The head of a start as the simplest client writes it, but for its length.
HEAD = b"POST /exams HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
#: What makes a request an unusual one, and changes nothing.
UNUSUAL = b"X-Unusual: yes\r\n"


def start(body: bytes, *, more: bytes = b"", head: bytes = HEAD) -> bytes:
    """Write a start; *more* are lines of its head."""
    return head + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Line:
    """One client's connection, which stays."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def ask(self, *requests: bytes) -> list[RawAnswer]:
        """Send requests at once, and read as many answers."""
        self.writer.write(b"".join(requests))
        return [await self.read() for _ in requests]

    async def read(self) -> RawAnswer:
        """Read the next answer."""
        head = await asyncio.wait_for(self._reader.readuntil(HEAD_END), 20)
        answer = parsed(head.removesuffix(HEAD_END), b"")
        body = await self._reader.readexactly(int(answer.header("Content-Length") or 0))
        return RawAnswer(answer.status, answer.headers, body)

    async def is_closed(self) -> bool:
        """Wait for the end of the connection; whether there was nothing before it."""
        return not await asyncio.wait_for(self._reader.read(), 20)


@contextlib.asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    """Connect to a gateway on this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


@dataclass(frozen=True, slots=True)
class Door:
    """
    A gateway in the test's own process.

    Attributes:
        taken: Of each request that was looked at, whether it was taken as an ordinary start.
        express: What takes them.
        connections: What makes a connection.
    """

    port: int
    taken: list[bool]
    runner: web.AppRunner
    listening: asyncio.Server
    express: Express
    connections: Connections

    def is_full(self) -> bool:
        """Whether starts are turned away, as there is too much to do."""
        return self.runner.app[EXPRESS]._gauge.why(Kind.START) is not None

    async def look_at_keys(self) -> None:
        """See at once what has changed in the file of keys."""
        await self.runner.app[EXPRESS]._admission._keyring.look()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something in this very loop, which goes on meanwhile."""
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def door(redis_url: str, data: Path, **settings: Any) -> AsyncIterator[Door]:
    """Serve as the gateway's process does."""
    given = Settings(**{"data": data, "redis_url": redis_url, **settings})
    async with as_gateway(redis_url) as client:
        runner = web.AppRunner(make_app(given, client, Store(data / "exams")), access_log=None)
        await runner.setup()
        express = runner.app[EXPRESS]
        await express._admission._keyring.look()
        take, taken = express.take, []

        def noted(*args: Any) -> bool:
            taken.append(take(*args))
            return taken[-1]

        assert runner.server
        connections = Connections(runner.server, most=100, express=express)
        with patch.object(express, "take", noted):
            loop = asyncio.get_running_loop()
            listening = await loop.create_server(connections, "127.0.0.1", 0)
            try:
                port = listening.sockets[0].getsockname()[1]
                yield Door(port, taken, runner, listening, express, connections)
            finally:
                listening.close()
                await runner.cleanup()
