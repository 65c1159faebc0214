"""Connection: one client's, and whether it stalls."""

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from structlog.contextvars import bound_contextvars

from ingest import hardening
from ingest.problems import Name, Refusal, problem
from ingest.refusals import say, tell
from ops import trace

#: Seconds for the head of a request, from when on it is waited for; a byte now and then does not
#: make them more.
HEAD_S = 8.0
#: Seconds for which a connection may stay without a request after one: longer than most proxies
#: keep theirs.
IDLE_S = 75.0
#: Seconds for which the rest of a body is read that was answered early: a client that is still
#: sending would not see the answer otherwise.
LINGER_S = 2.0
#: What aiohttp has as its own defaults may change with it. A line is a path with its query.
LIMITS: Mapping[str, Any] = {
    "max_line_size": 8_190,
    "max_field_size": 8_190,
    "max_headers": 64,
    "keepalive_timeout": IDLE_S,
    "lingering_time": LINGER_S,
    "access_log": None,
}
TOO_LARGE = (
    f"the path has more than {LIMITS['max_line_size']} bytes, a header more than "
    f"{LIMITS['max_field_size']}, or there are more than {LIMITS['max_headers']} headers"
)
NOT_HTTP = "what came is no request as RFC 9112 has it; the connection is closed"


def reset(transport: asyncio.Transport) -> None:
    """
    Close a connection, and give up what its client has not taken.

    Closed as usual, the system would keep that, megabytes perhaps, and offer it for minutes.
    """
    at_once = struct.pack("ii", 1, 0)  # on, and no second of patience
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    transport.abort()


class Register(Protocol):
    """Who knows all connections."""

    def enter(self, connection: "Connection") -> bool:
        """Take a new one in, or say that there is no room."""

    def leave(self, connection: "Connection") -> None:
        """Forget one that is closed."""


class Connection(web.RequestHandler):
    """
    One client's connection, which knows what it waits for.

    Attributes:
        is_spare: Whether it is beyond the most there may be, and gets one answer.
        is_patient: Whether somebody else looks after how its client reads.
    """

    __slots__ = (
        "_is_busy",
        "_register",
        "_stuck_since",
        "_waits_since",
        "_wire",
        "is_patient",
        "is_spare",
    )

    def __init__(self, server: web.Server, register: Register) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **LIMITS)
        self.is_spare = False
        self.is_patient = False
        self._register = register
        self._wire: asyncio.Transport | None = None
        self._is_busy = False
        self._waits_since: float | None = None
        self._stuck_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head; without room, close at once."""
        self._wire = cast(asyncio.Transport, transport)  # which uvloop's is not by its class
        if not self._register.enter(self):
            self._wire.abort()
            return
        self._waits_since = self._loop.time()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Be forgotten."""
        self._register.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note when a head begins."""
        if self._waits_since is None and not self._is_busy:
            self._waits_since = self._loop.time()
        super().data_received(data)

    def resume_writing(self) -> None:
        """Note that the client has taken some of its answer."""
        self._stuck_since = None
        super().resume_writing()

    async def _handle_request(self, *args: Any) -> tuple[web.StreamResponse, bool]:
        """Note from when to when there is a request, with its answer (aiohttp's own hook)."""
        self._is_busy = True
        try:
            return await super()._handle_request(*args)
        finally:
            self._is_busy = False
            self._waits_since = None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; it is the last one where the client is too slow, or one too many."""
        if self.is_spare or resp.status == 408:
            resp.force_close()
        done = await super().finish_response(request, resp, start_time)
        if resp.status == 408:
            self.force_close()  # without waiting for what is left of the body
        return done

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no request with a problem; nothing of it is repeated, it may be a key."""
        if status != 400:
            return super().handle_error(request, status, exc, message)
        is_large = isinstance(exc, LineTooLong) or str(message).startswith("Too many headers")
        name, detail = (Name.HEAD_TOO_LARGE, TOO_LARGE) if is_large else (Name.NOT_HTTP, NOT_HTTP)
        assert isinstance(request, web.Request)
        refusal = Refusal(problem(name, detail))
        own = trace.new()
        with bound_contextvars(trace_id=own.trace_id):
            tell(refusal.problem, refusal, request)
        response = say(refusal.problem)
        response.headers.update({trace.NAME: trace.header(own), **hardening.HEADERS})
        response.force_close()
        return response

    def cut_if_stalled(self, now: float, *, take_s: float) -> str | None:
        """
        Close the connection if its client has had its time.

        Args:
            take_s: Seconds in which it takes some of its answer.

        Returns:
            What it was waited for: `head` or `answer`; None if it may go on.
        """
        assert self._wire
        if self.is_patient or not self._wire.get_write_buffer_size():
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        why = None
        if self._stuck_since is not None and now - self._stuck_since >= take_s:
            why = "answer"
        elif not self._is_busy and self._waits_since and now - self._waits_since >= HEAD_S:
            why = "head"
        if why:
            reset(self._wire)
        return why
