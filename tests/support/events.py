"""Events: a client of ``GET /events`` that reads as the specification says, and comes again."""

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector
from yarl import URL

#: No limit on how long a stream may take, nor on how many there are.
FOR_EVER = ClientTimeout(total=None, sock_read=60)


@dataclass(slots=True)
class Event:
    """One event as a browser would give it to a page."""

    id: str
    type: str
    data: Any


@dataclass(slots=True)
class Stream:
    """
    What a client makes of the lines of one stream.

    Attributes:
        last_id: What it would send as Last-Event-ID.
        comments: Lines that are for nobody.
    """

    last_id: str = ""
    retry: int | None = None
    comments: list[str] = field(default_factory=list)
    _type: str = "message"
    _data: list[str] = field(default_factory=list)
    _id: str = ""

    def feed(self, line: str) -> Event | None:
        """Take a line without its end; return the event that it completes."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "" if line:
                self.comments.append(value)
            case "":
                return self._dispatch()
            case "id":
                self._id = value
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "retry":
                self.retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        self.last_id = self._id
        data, kind = self._data, self._type
        self._data, self._type = [], "message"
        return Event(self.last_id, kind, json.loads("\n".join(data))) if data else None


async def events(response: ClientResponse, stream: Stream) -> AsyncGenerator[Event, None]:
    """Read a stream to its end, however it ends."""
    stream._id = stream.last_id
    with contextlib.suppress(ClientError):
        async for line in response.content:
            if event := stream.feed(line.decode().removesuffix("\n")):
                yield event


def session() -> ClientSession:
    """Make a client that keeps as many streams as are asked for."""
    return ClientSession(connector=TCPConnector(limit=0), timeout=FOR_EVER)


@contextlib.asynccontextmanager
async def listening_to(url: str | URL, last_id: str = "") -> AsyncIterator[ClientResponse]:
    """Ask for events with a client of its own, behind an id if one is given."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with session() as own, own.get(url, headers=headers) as response:
        yield response
