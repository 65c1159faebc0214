"""Reader: one client of the live events: what waits for it, and how it ends."""

import asyncio
import contextlib

from ingest.feed import GAP, Happening
from ingest.positions import START, Position
from ingest.wanted import Wanted

#: Events that wait for one reader; behind them it is dropped.
MOST_WAITING = 1_000


class Reader:
    """
    A queue that never waits for its reader.

    Attributes:
        dropped: Done when the reader did not keep up.
        closed: Done when the process ends.
        seen: Up to where all events wait, or were given out, or are not wanted.
        taken: Up to where they were given out: where a client that is dropped goes on.
    """

    def __init__(self, wanted: Wanted) -> None:
        loop = asyncio.get_running_loop()
        self.wanted = wanted
        self.dropped: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.seen = self.taken = wanted.after
        self._after: Position | None = None
        self._waiting: list[bytes] = []
        self._arrived = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether it gets nothing any more."""
        return self.dropped.done() or self.closed.done()

    def join(self, after: Position | None) -> None:
        """Hear what happens from here on; of that, what lies up to *after* is known already."""
        self._after = after or START
        self.seen = after
        if self.taken is None:
            self.taken = after

    def hear(self, event: Happening, at: Position, frame: bytes) -> None:
        """Take an event that has just happened."""
        if self._after is None or self.is_over:
            return
        if event.type == GAP:  # the stream may go on with lower ids
            self._after = START
        elif at <= self._after:
            return
        if self.wanted.has(event):
            if len(self._waiting) >= MOST_WAITING:
                self._drop()
                return
            self._waiting.append(frame)
            self._arrived.set()
        self.seen = at

    async def take(self, *, patience_s: float) -> bytes:
        """Wait for events so long at most, and give out all; nothing when none came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._arrived.wait()
        self._arrived.clear()
        if self.is_over:
            return b""
        self.taken = self.seen
        frames, self._waiting = self._waiting, []
        return b"".join(frames)

    def close(self) -> None:
        """End it with its process."""
        if not self.closed.done():
            self.closed.set_result(None)

    def _drop(self) -> None:
        self._waiting.clear()
        self.dropped.set_result(None)
