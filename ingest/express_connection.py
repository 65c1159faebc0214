"""Express connection: one that takes ordinary starts itself, and leaves the rest to aiohttp."""

from typing import Any

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http import RawRequestMessage

from ingest.connection import IDLE_S, Connection, Register, reset
from ingest.express import Express, shown_keys
from ingest.failed import FAILED, Failed


class ExpressConnection(Connection):
    """
    A connection whose ordinary starts need no task and no request of aiohttp's.

    How that goes beside aiohttp's own way: a start that is on its way stays the first of
    `_messages` until it is answered, so that it keeps its turn, and what would handle it sleeps at
    `_waiter`. What is left to aiohttp wakes that; nothing of it has been taken out then.

    A client that has its answer asks again before aiohttp's handler is back at its waiter, which
    takes it a turn of the loop. What comes then is kept for that turn: else this request, and all
    that follow it as quickly, would go aiohttp's way.
    """

    __slots__ = ("_early", "_express", "_failed", "_is_express")

    def __init__(self, server: web.Server, register: Register, express: Express) -> None:
        super().__init__(server, register)
        self._failed: Failed | None = None
        self._express = express
        self._is_express = False
        self._early = b""

    def data_received(self, data: bytes) -> None:
        """Have aiohttp read it once its handler waits, or is at work."""
        if data and (self._early or (self._waiter is None and not self._is_busy)):
            if not self._early:
                self._loop.call_soon(self._receive_early)
            self._early += data
        else:
            self._receive(data)

    def _receive_early(self) -> None:
        """Receive what was kept for a turn."""
        data, self._early = self._early, b""
        if self._parser is not None:  # the connection is not lost
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        """Have aiohttp read it; then look what came before anybody is woken."""
        waiter, self._waiter = self._waiter, None
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter
        self._go_on()

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
        if self.transport is None or self._parser is None:
            return
        self.transport.write(text)
        self._messages.popleft()
        self._parser.message_consumed()
        if self._close or self._force_close:
            self.force_close()
            return
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        self._go_on()

    def fail(self, failed: Failed) -> None:
        """Leave it to the application to answer a start with what went wrong."""
        if self._waiter is None or self._waiter.done():  # the client is gone
            self._end()
            return
        self._is_express = self._is_busy = False
        self._waits_since = None
        self._failed = failed
        self._waiter.set_result(None)

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

    def _go_on(self) -> None:
        """Take the next request, or wake who does."""
        waiter = self._waiter
        if self._is_express or not self._messages or waiter is None or waiter.done():
            return
        if self._is_taken():
            self._is_express = self._is_busy = self._request_in_progress = True
            self._next_keepalive_close_time = self._loop.time() + IDLE_S
        else:
            waiter.set_result(None)

    def _is_taken(self) -> bool:
        """Whether the next request is an ordinary start, and was sent on as such."""
        head, payload = self._messages[0]
        return (
            not (self._close or self._force_close or self.is_spare or self.writing_paused)
            and payload is not EMPTY_PAYLOAD
            and payload.is_eof()
            and isinstance(head, RawRequestMessage)
            and (shown := shown_keys(head)) is not None
            and self._express.take(shown, _peek(payload), self)
        )


def _peek(payload: StreamReader) -> bytes:
    """Look at a whole body, and leave it there: a handler may have to read it yet."""
    return b"".join(payload._buffer)  # noqa: SLF001 - nothing public looks without taking
