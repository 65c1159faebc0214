"""Connections: all of a gateway's, how many there may be at once, and who stalls."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from ingest import problems
from ingest.connection import Connection
from ingest.express import Express
from ingest.express_connection import ExpressConnection
from ingest.meter import METER
from ingest.problems import Name, problem
from ingest.refusals import say
from ops.events import Event

#: Seconds between two looks at all connections. A timer for each would cost every request a bit.
LOOK_S = 0.5
#: Seconds between two looks that mean that this process was stopped: clients shall not pay for it.
STOPPED_S = 4.0
#: Seconds in which a client takes 48 kB of its answer, or all that is left of it; and once the
#: gateway ends.
TAKE_S, LAST_TAKE_S = 7.0, 1.0
#: Connections beyond the most there may be, which get one answer each: probes learn that the
#: gateway lives, and anyone else when to come again.
SPARE = 64
PROBES = frozenset({"/livez", "/readyz"})
#: Seconds between two lines about connections that were cut, however many there are.
TELL_EVERY_S = 10.0

log = structlog.get_logger()


class Connections:
    """
    All connections of one gateway; for `loop.create_server` what makes them.

    Args:
        most: How many there may be, besides the spare ones.
        express: What ordinary starts are taken with; None: all go through the application.
    """

    def __init__(self, server: web.Server, *, most: int, express: Express | None = None) -> None:
        self._server = server
        self._express = express
        self._most = most
        self._open: set[Connection] = set()
        self._turned_away = 0
        self._is_full = False
        self._take_s = TAKE_S
        self._cut: Counter[str] = Counter()
        self._told = float("-inf")

    def __call__(self) -> Connection:
        """Make the one for a new client."""
        if self._express is None:
            return Connection(self._server, self)
        return ExpressConnection(self._server, self, self._express)

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def enter(self, connection: Connection) -> bool:
        """Take a new one in, or say that there is no room."""
        connection.is_spare = len(self._open) >= self._most
        self._turned_away += connection.is_spare
        has_room = len(self._open) < self._most + SPARE
        if has_room:
            self._open.add(connection)
        return has_room

    def leave(self, connection: Connection) -> None:
        """Forget one that is closed."""
        self._open.discard(connection)

    def hurry(self) -> None:
        """Wait for nobody who does not take an answer: the end has come."""
        self._take_s = LAST_TAKE_S

    async def watch(self) -> None:
        """Look after all of them until cancelled."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            await asyncio.sleep(LOOK_S)
            now = loop.time()
            if now - looked < STOPPED_S:
                self.look(now)
            looked = now

    def look(self, now: float) -> None:
        """Cut who has had his time, and tell what has happened since the last look."""
        for connection in tuple(self._open):
            if why := connection.cut_if_stalled(now, take_s=self._take_s):
                self._cut[why] += 1
        if self._cut and now - self._told >= TELL_EVERY_S:
            log.info(Event.CONNECTIONS_CUT, heads=self._cut["head"], answers=self._cut["answer"])
            self._cut.clear()
            self._told = now
        if self._turned_away and not self._is_full:
            self._is_full = True
            log.warning(Event.CONNECTIONS_FULL, most=self._most)
        elif self._is_full and len(self._open) <= 0.9 * self._most:
            log.info(Event.CONNECTIONS_FREE, turned_away=self._turned_away)
            self._is_full, self._turned_away = False, 0


@web.middleware
async def keep_room(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer who is one too many, without a line for each, unless it is a probe."""
    connection = request.protocol
    if not isinstance(connection, Connection) or not connection.is_spare or request.path in PROBES:
        return await handler(request)
    detail = "as many connections are open as may be; close those that you do not need"
    refused = problem(Name.OVERLOADED, detail)
    request.app[METER].refuse(request, refused)
    return say(refused, {"Retry-After": str(problems.RETRY_AFTER_S)})


@contextlib.contextmanager
def patience(request: web.Request) -> Iterator[None]:
    """Leave it to the caller to end a connection whose client does not read."""
    connection = request.protocol
    if not isinstance(connection, Connection):
        yield
        return
    connection.is_patient = True
    try:
        yield
    finally:
        connection.is_patient = False
