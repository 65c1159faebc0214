"""Bulk: many commands in one request, answered line by line once the body has been read."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Coroutine

from aiohttp import StreamReader, web

from ingest.admission import Admission
from ingest.bodies import spread
from ingest.faults import Fault
from ingest.gauge import Gauge
from ingest.lines import CHUNK, NDJSON, Chunk, Splitter
from ingest.pressure import Kind
from ingest.problems import RETRY_AFTER_S, Name, Problem, Refusal, of_faults, problem
from ingest.producer import Producer
from ingest.replies import Replies, Spool
from ingest.traces import TRACE
from ingest.upload import Upload
from ops import trace

#: Bytes of answers that are kept in memory; what is more lies in a file without a name.
MOST_IN_MEMORY = 1 << 20
#: Bytes that are read from there at a time.
PIECE_BYTES = 1 << 16
#: Seconds of waiting in which the next line has to be whole. One that trickles is as good as none.
LINE_S = 6.0
#: What a client is told when the gateway ends before the body has.
ENDS = "the gateway is ending: nothing from this line on was taken; send it again"
SLOW = (
    f"the next line was not whole after {LINE_S:.0f} s: nothing from this line on was taken; send "
    "it again"
)
BROKEN = (
    "the body ended early, or is not compressed as it says: nothing from this line on was taken"
)


class _Stopped(Exception):  # noqa: N818 - says what happened
    """There will be no more of the body; carries what its sender is told."""

    def __init__(self, problem: Problem, *, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after_s = retry_after_s


class Bulk:
    """``POST /commands``, and what it needs."""

    def __init__(self, producer: Producer, admission: Admission, gauge: Gauge) -> None:
        self._gauge = gauge
        self._producer = producer
        self._admission = admission
        self._ending: asyncio.Event = asyncio.Event()

    def end(self) -> None:
        """Let nobody read on: who is sending is told how far that came."""
        self._ending.set()

    async def send_commands(self, request: web.Request) -> web.StreamResponse:
        """
        Read a body of any length, and put its commands on the stream as they come in.

        The answers are kept until the body has ended: a client that reads nothing while it sends
        would else wait for us, and we for it.

        Raises:
            Refusal: Not declared as NDJSON in UTF-8, nothing in it, or broken before its first
                line was whole.
            Unavailable: Redis is away, and has taken none of its commands.
        """
        _check_type(request)
        with tempfile.SpooledTemporaryFile(MOST_IN_MEMORY) as answers:
            upload = Upload(request, self._producer, Replies(answers))
            try:
                await self._read(request, upload)
            finally:
                await upload.give_up()
                upload.sum_up()
            return await _answer(request, answers)

    async def _read(self, request: web.Request, upload: Upload) -> None:
        most = self._admission.lines_at_once(request)
        lines = Splitter(most=min(most or CHUNK, CHUNK))
        try:
            async with contextlib.aclosing(self._pieces(request.content, lines)) as pieces:
                async for data in pieces:
                    for chunk in lines.feed(data):
                        await self._take(chunk, request, upload)
            for chunk in lines.end():
                await self._take(chunk, request, upload)
            await upload.settle()
        except _Stopped as stopped:
            await upload.settle()
            if upload.is_empty:
                raise Refusal(stopped.problem, retry_after_s=stopped.retry_after_s) from stopped
            upload.refuse(lines.number, stopped.problem)
        if upload.is_empty:
            fault = Fault("body", "is empty; send one JSON object in each line")
            raise Refusal(of_faults(Name.EMPTY_BODY, [fault]))

    async def _take(self, chunk: Chunk, request: web.Request, upload: Upload) -> None:
        if count := chunk.count:
            await self._wait(self._may_go_on(request, count))
            await upload.take(chunk)

    async def _may_go_on(self, request: web.Request, lines: int) -> None:
        """
        Read no further while others need the room, or the key has sent enough; who sends is held
        up by what is not read.

        Raises:
            Refusal: That is so for a long time; or the key is none any more.
        """
        await self._admission.hold(request, lines)
        await self._gauge.make_room(Kind.BULK, count=lines)
        await self._admission.check(request)

    async def _wait(self, doing: Coroutine[object, object, None]) -> None:
        """
        Wait for something, unless the gateway ends.

        Raises:
            _Stopped: It does, or that was refused.
        """
        waiting = asyncio.create_task(doing)
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            ending.cancel()
        if not waiting.done():
            raise _Stopped(problem(Name.UNAVAILABLE, ENDS))
        try:
            waiting.result()
        except Refusal as refusal:
            raise _Stopped(refusal.problem, retry_after_s=refusal.retry_after_s) from refusal

    async def _pieces(self, content: StreamReader, lines: Splitter) -> AsyncGenerator[bytes, None]:
        """
        Give the body as it comes in.

        Raises:
            _Stopped: It broke, or stalls; or there is none to read yet, and the gateway ends.
        """
        loop = asyncio.get_running_loop()
        ending = asyncio.create_task(self._ending.wait())
        number, left_s = lines.number, spread(LINE_S)
        try:
            while not content.at_eof():
                began = loop.time()
                piece = await _piece(content, ending, within_s=left_s)
                left_s -= loop.time() - began  # what is done with it does not count
                yield piece
                if lines.number != number:
                    number, left_s = lines.number, spread(LINE_S)
        finally:
            ending.cancel()


async def _piece(content: StreamReader, ending: "asyncio.Task[bool]", *, within_s: float) -> bytes:
    reading = asyncio.create_task(content.readany())
    try:
        both = {reading, ending}
        await asyncio.wait(both, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        reading.cancel()
    if not reading.done():
        name, said = (Name.UNAVAILABLE, ENDS) if ending.done() else (Name.TOO_SLOW, SLOW)
        raise _Stopped(problem(name, said))
    try:
        return reading.result()
    except (web.RequestPayloadError, ConnectionError) as error:
        raise _Stopped(problem(Name.BROKEN_BODY, BROKEN)) from error


def _check_type(request: web.Request) -> None:
    charset = (request.charset or "utf-8").lower()
    if request.content_type != NDJSON or charset not in {"utf-8", "utf8"}:
        seen = ascii(request.headers.get("Content-Type", "none"))
        fault = Fault("content-type", f"must be {NDJSON} in UTF-8, not {seen}")
        raise Refusal(of_faults(Name.NOT_JSON_TYPE, [fault]))


async def _answer(request: web.Request, answers: Spool) -> web.StreamResponse:
    """Send what was kept; its length is known, so that a client can tell when some is missing."""
    response = web.StreamResponse(headers={trace.NAME: trace.header(request[TRACE])})
    response.content_type = NDJSON
    response.content_length = answers.tell()
    answers.seek(0)
    with contextlib.suppress(ConnectionError):  # nobody is there any more; the log has it all
        await response.prepare(request)
        while piece := answers.read(PIECE_BYTES):
            await response.write(piece)
        await response.write_eof()
    return response
