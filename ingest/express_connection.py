"""Express connection: one that takes ordinary starts itself, and leaves the rest to aiohttp."""

from collections.abc import Sequence
from typing import Any

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http import RawRequestMessage

from ingest.connection import IDLE_S, Connection, Register, reset
from ingest.express import Express, shown_keys
from ingest.failed import FAILED, Failed
from ingest.heads import is_whole


class ExpressConnection(Connection):
    """
    A connection whose ordinary starts need no task and no request of aiohttp's.

    How that goes beside aiohttp's own way: a start that is on its way stays the first of
    `_messages` until it is answered, so that it keeps its turn, and what would handle it sleeps at
    `_waiter`. What is left to aiohttp wakes that; nothing of it has been taken out then.

    A client that has its answer asks again before aiohttp's handler is back at its waiter, which
    takes it a turn of the loop. What comes then is kept for that turn: else this request, and all
    that follow it as quickly, would go aiohttp's way.

    As long as all that came were whole requests, each by itself, it is known where the next one
    begins. If its head was read before, as that of an ordinary start, aiohttp's parser does not see
    it, unless it fails: then it is read after all. What comes meanwhile is kept as well.
    """

    __slots__ = ("_at_once", "_early", "_express", "_failed", "_is_express", "_is_whole")

    def __init__(self, server: web.Server, register: Register, express: Express) -> None:
        super().__init__(server, register)
        self._failed: Failed | None = None
        self._express = express
        self._is_express = False
        self._is_whole = True
        self._at_once: bytes | None = None
        self._early = b""

    def data_received(self, data: bytes) -> None:
        """Take it once aiohttp's handler waits or is at work, and no start is on its way unread."""
        if self._at_once is not None:
            if self._wire and not self._early:
                self._wire.pause_reading()
            self._early += data
        elif data and (self._early or (self._waiter is None and not self._is_busy)):
            if not self._early:
                self._loop.call_soon(self._receive_early)
            self._early += data
        else:
            self._receive(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Be forgotten; a handler that was woken just now would look for what is gone by then."""
        if self._waiter and self._waiter.done() and self._task_handler:
            self._task_handler.cancel()
        super().connection_lost(exc)

    def _receive_early(self) -> None:
        """Receive what was kept."""
        data, self._early = self._early, b""
        if self._parser is not None:  # the connection is not lost
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        """Take a start of a head that is known; have aiohttp read everything else."""
        if not self._is_whole or not data:  # also where aiohttp itself asks to go on
            self._parse(data)
            self._go_on()
        elif not self._is_taken_unread(data):
            self._is_whole = False
            count = self._request_count
            self._parse(data)
            self._go_on()
            if self._request_count == count + 1 and self._messages:
                self._is_whole = self._look_back(data, *self._messages[-1])

    def _parse(self, data: bytes) -> None:
        """Have aiohttp read it, and wake nobody."""
        waiter, self._waiter = self._waiter, None
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter

    def _look_back(self, data: bytes, head: object, payload: StreamReader) -> bool:
        """Whether what was read is one whole request; remember the head of an ordinary start."""
        if not (isinstance(head, RawRequestMessage) and payload.is_eof() and is_whole(data, head)):
            return False
        if (shown := shown_keys(head)) is not None:
            self._express.heads.learn(data, shown)
        return True

    def close(self) -> None:
        """Take no more requests; a start that is on its way is answered first."""
        waiter = self._waiter
        if self._is_express:
            self._waiter = None  # it would be cancelled
        super().close()
        self._waiter = waiter

    def answer(self, text: bytes) -> None:
        """Send the answer to a start, unless the client is gone; go on with what came meanwhile."""
        self._end()
        at_once, self._at_once = self._at_once, None
        if self.transport is None or self._parser is None:
            return
        self.transport.write(text)
        if at_once is None:
            self._messages.popleft()
            self._parser.message_consumed()
        if self._close or self._force_close:
            self.force_close()
        elif at_once is None:
            if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
                self._resume_reading_if_drained()
            self._go_on()
        else:
            self._let_in()

    def fail(self, failed: Failed) -> None:
        """Leave it to the application to answer a start with what went wrong."""
        at_once, self._at_once = self._at_once, None
        if self._waiter is None or self._waiter.done():  # the client is gone
            self._end()
            return
        self._is_express = self._is_busy = False
        self._waits_since = None
        self._failed = failed
        if at_once is not None:
            ends = self._close, self._force_close
            self._close = self._force_close = False  # it came before that was asked for
            self._parse(at_once)
            self._close, self._force_close = ends
        self._waiter.set_result(None)
        self._let_in()

    def abort(self) -> None:
        """Close at once: how far an answer came is not known."""
        self._end()
        if self._wire and not self._wire.is_closing():
            reset(self._wire)

    async def _handle_request(
        self, request: web.BaseRequest, *args: Any
    ) -> tuple[web.StreamResponse, bool]:
        """Tell the application of a request that was on its way already (aiohttp's own hook)."""
        failed, self._failed = self._failed, None
        if failed:
            request[FAILED] = failed
        return await super()._handle_request(request, *args)

    def _end(self) -> None:
        """Note that no start is on its way any more, also for who waits for that to close."""
        self._is_express = self._is_busy = self._request_in_progress = False
        self._waits_since = None
        self._next_keepalive_close_time = self._loop.time() + IDLE_S
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)

    def _let_in(self) -> None:
        """Receive what came while a start was on its way unread."""
        if self._early:
            if self._wire and not self._wire.is_closing():
                self._wire.resume_reading()
            self._receive_early()

    def _go_on(self) -> None:
        """Take the next request, or wake who does."""
        waiter = self._waiter
        if self._is_express or not self._messages or waiter is None or waiter.done():
            return
        if not self._is_taken():
            waiter.set_result(None)

    def _is_taken(self) -> bool:
        """Whether the next request is an ordinary start, and was sent on as such."""
        head, payload = self._messages[0]
        return (
            payload is not EMPTY_PAYLOAD
            and payload.is_eof()
            and isinstance(head, RawRequestMessage)
            and (shown := shown_keys(head)) is not None
            and self._is_begun(shown, _peek(payload))
        )

    def _is_taken_unread(self, data: bytes) -> bool:
        """Whether this is the next request, an ordinary start of a known head, and was sent on."""
        waiter = self._waiter
        if self._is_express or self._messages or waiter is None or waiter.done():
            return False
        found = self._express.heads.find(data)
        if found is None or not self._is_begun(*found):
            return False
        self._at_once = data
        return True

    def _is_begun(self, shown: Sequence[str], body: bytes) -> bool:
        """Whether a start was sent on, if it may be now."""
        if self._close or self._force_close or self.is_spare or self.writing_paused:
            return False
        if not self._express.take(shown, body, self):
            return False
        self._is_express = self._is_busy = self._request_in_progress = True
        self._next_keepalive_close_time = self._loop.time() + IDLE_S
        return True


def _peek(payload: StreamReader) -> bytes:
    """Look at a whole body, and leave it there: a handler may have to read it yet."""
    return b"".join(payload._buffer)  # noqa: SLF001 - nothing public looks without taking
