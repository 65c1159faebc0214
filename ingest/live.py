"""Live: ``GET /events``, what happens, told to everyone who listens, as it happens."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import redis.asyncio
from aiohttp import web

from ingest import sse
from ingest.admission import Admission
from ingest.answering import Unavailable
from ingest.connections import patience
from ingest.feed import Feed, Happening
from ingest.past import Page, Past
from ingest.positions import START, Position, position
from ingest.reader import MOST_WAITING, Reader
from ingest.traces import TRACE
from ingest.wanted import HEADER, wanted
from ops import trace

#: Seconds of silence after which a reader is sent a heartbeat: proxies close at 30 or 60.
HEARTBEAT_S = 15.0
#: Seconds between two tries to read the past while Redis is away.
AWAY_PAUSE_S = 1.0
#: Seconds in which a reader that was dropped can take what was written, and its last event; and
#: in which any reader can when the process ends.
LAST_WORDS_S = 30.0
GOODBYE_S = 0.3
#: No cache keeps a stream, and no nginx collects it.
HEADERS = {
    "Content-Type": sse.CONTENT_TYPE,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}

Say = Callable[[bytes], Awaitable[None]]


class Live:
    """All readers of this process, served by one subscription to the feed."""

    def __init__(self, client: "redis.asyncio.Redis", feed: Feed, admission: Admission) -> None:
        self._admission = admission
        self._past = Past(client)
        self._feed = feed
        self._readers: set[Reader] = set()
        self._is_ending = False
        feed.subscribe(self._hear, is_needed=lambda: bool(self._readers))

    def count(self) -> int:
        """How many clients listen."""
        return len(self._readers)

    def end(self) -> None:
        """Let all readers go: they come again, to the next process."""
        self._is_ending = True
        for reader in self._readers:
            reader.close()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """
        ``GET /events?pk=&type=&last_event_id=``: server-sent events, until somebody ends it.

        Raises:
            Refusal: The query or the header `HEADER` is not valid.
        """
        reader = Reader(wanted(request.query.items(), request.headers.getall(HEADER, [])))
        response = web.StreamResponse(headers={**HEADERS, trace.NAME: _traceparent(request)})
        response.force_close()
        if reader.wanted.after is None:  # before the client can know that it listens
            reader.join(self._feed.position)
        self._readers.add(reader)
        try:
            with contextlib.suppress(ConnectionError):  # the client went away, as it may
                await response.prepare(request)
                if request.method != "HEAD":
                    with self._admission.staying(request, reader.close), patience(request):
                        await self._serve(reader, request, response)
        finally:
            self._readers.discard(reader)
        return response

    def _hear(self, event: Happening) -> None:
        if self._readers:
            at, frame = position(event.id), sse.frame(event)
            for reader in self._readers:
                reader.hear(event, at, frame)

    async def _serve(
        self, reader: Reader, request: web.Request, response: web.StreamResponse
    ) -> None:
        """
        Write until the client goes, does not keep up, or the process ends.

        Raises:
            ConnectionError: The client went away.
        """
        if self._is_ending:
            reader.close()
        writing = asyncio.create_task(self._write(reader, response))
        try:
            ends = {writing, reader.dropped, reader.closed}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not writing.done():
                await _say_last(reader, request, response)
        finally:
            writing.cancel()
            await asyncio.wait({writing})
        if not writing.cancelled():
            try:
                writing.result()
            except Exception:
                _abort(request)  # or the answer to it would follow within this one
                raise

    async def _write(self, reader: Reader, response: web.StreamResponse) -> None:
        async def say(frames: bytes) -> None:
            if frames and not reader.is_over:
                await response.write(frames)

        await say(sse.opening(reader.seen))
        if reader.wanted.after is not None:
            await self._catch_up(reader, say)
        while not reader.is_over:
            frames = await reader.take(patience_s=HEARTBEAT_S)
            await say(frames or sse.heartbeat(reader.seen))

    async def _catch_up(self, reader: Reader, say: Say) -> None:
        """
        Tell what happened behind the id that the reader came with, until the feed takes over.

        It listens to the feed from the moment at which the end of the stream was read: what the
        feed had already told the others by then is read from Redis; what the reader then hears
        twice it knows by its id.
        """
        after, until, has_joined = reader.wanted.after or START, None, False
        while not has_joined or (until is not None and after < until):
            page = await self._read(after, until, say)
            if reader.is_over:
                return
            if page.is_last and not has_joined:
                has_joined, until = True, self._feed.position
                reader.join(max(page.upto, until or START))
            after = reader.taken = page.upto
            await say(b"".join(sse.frame(one) for one in page.events if reader.wanted.has(one)))

    async def _read(self, after: Position, until: Position | None, say: Say) -> Page:
        while True:
            try:
                return await self._past.page(after, until=until)
            except Unavailable:  # the feed's reading says so to the log
                await say(sse.AWAY)
                await asyncio.sleep(AWAY_PAUSE_S)


async def _say_last(reader: Reader, request: web.Request, response: web.StreamResponse) -> None:
    """End a stream in order, as far as its client still takes anything."""

    async def say() -> None:
        if reader.dropped.done():
            await response.write(sse.dropped(reader.taken or START, most=MOST_WAITING))
        await response.write_eof()
        await request.writer.drain()

    saying = asyncio.create_task(say())
    waited_for = {saying, reader.closed}
    await asyncio.wait(waited_for, timeout=LAST_WORDS_S, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({saying}, timeout=GOODBYE_S)
    if not saying.done():
        # Cancelled at a full buffer, both writers would leave it in disorder.
        _abort(request)
        saying.cancel()
    await asyncio.wait({saying})
    if not saying.cancelled():
        saying.result()


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _traceparent(request: web.Request) -> str:
    return trace.header(request[TRACE])
