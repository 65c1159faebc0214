"""Feed: the stream of events, read once for all of this process that listen."""

import asyncio
import contextvars
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import redis.asyncio
import redis.exceptions

from ingest.positions import NOTHING, Extent, Gap, Position, gap, position
from ops import keys, outage

#: Milliseconds for which one read waits for events: less than anyone waits for an answer of Redis.
BLOCK_MS = 2_000
#: Events in one answer. All listeners hear all of them before anything else has its turn.
READ_COUNT = 100
#: Seconds after which a reading that was cancelled and goes on is cancelled again.
CANCEL_AGAIN_S = 0.1
#: Type of what is heard when events were lost to this reader.
GAP = "gap"


@dataclass(frozen=True, slots=True)
class Happening:
    """
    One event, as it lies in the stream; or a gap in it.

    Attributes:
        id: Its entry's; of a gap, the one behind which reading goes on.
        type: ``exam.`` and what the exam came to; or `GAP`.
        data: What `tasks/changes.py` wrote; of a gap, what is missing.
    """

    id: str
    type: str
    data: Mapping[str, object]

    @property
    def pk(self) -> str:
        """The exam it is about; empty when it is about none."""
        return str(self.data.get("pk", ""))

    @property
    def command(self) -> str:
        """Id of the command that did it; empty when none did."""
        return str(self.data.get("command", ""))


#: Called in the event loop with each event, in nobody's context; must not wait.
Listener = Callable[[Happening], None]


class Feed:
    """
    Events to all who have subscribed, in order, from when the process started.

    It outlasts every absence of Redis, reads on where it was, and so skips nothing that Redis
    still holds. What Redis does not hold any more is told as a gap.
    """

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self._redis = client
        self._listeners: dict[object, tuple[Listener, Callable[[], bool]]] = {}
        self._position: Position | None = None
        self._reading: asyncio.Task[None] | None = None
        self._began = time.monotonic()
        self._has_looked = False
        self._has_failed = False

    @property
    def position(self) -> Position | None:
        """Up to where everything was heard; None until Redis was there for the first time."""
        return self._position

    def subscribe(
        self, listener: Listener, *, is_needed: Callable[[], bool] = lambda: True
    ) -> Callable[[], None]:
        """
        Call *listener* with each event from now on; return what ends that.

        Args:
            is_needed: Whether it has anything to do with events: while nobody has, they are passed
                over, unread.
        """
        name = object()
        self._listeners[name] = listener, is_needed

        def unsubscribe() -> None:
            self._listeners.pop(name, None)

        return unsubscribe

    def start(self) -> None:
        """Begin to read."""
        self._began = time.monotonic()
        # Not in the context of whoever starts it: lines about Redis are nobody's.
        self._reading = asyncio.create_task(self._read_on(), context=contextvars.Context())

    async def aclose(self) -> None:
        """Read no more."""
        # Again and again: `asyncio.wait_for` of Python 3.11, within redis-py, can lose one.
        while self._reading is not None and not self._reading.done():
            self._reading.cancel()
            await asyncio.wait({self._reading}, timeout=CANCEL_AGAIN_S)

    async def _read_on(self) -> None:
        pause_s = outage.FIRST_RETRY_S
        while True:
            try:
                await self._read()
            except (redis.exceptions.RedisError, OSError) as error:
                self._has_failed, self._has_looked = True, False
                outage.REDIS.went_on(error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, outage.LONGEST_RETRY_S)
            else:
                pause_s = outage.FIRST_RETRY_S

    async def _read(self) -> None:
        after = self._position if self._has_looked else None
        if after is None:
            after = self._position = await self._look()
            self._has_looked = True
        found: Any = await self._redis.xread(
            {keys.EVENTS: str(after)}, count=READ_COUNT, block=BLOCK_MS
        )
        # Only after a failure of its own: a full Redis still gives, and takes nothing.
        if self._has_failed:
            self._has_failed = False
            outage.REDIS.ended()
        # Nothing for so long: silence, or a stream that was made anew with lower ids.
        self._has_looked = bool(found)
        is_needed = any(asks() for _, asks in self._listeners.values())
        for _, entries in found or ():
            self._position = position(entries[-1][0].decode())
            for entry, fields in entries if is_needed else ():
                if event := happening(entry, fields):
                    self._tell(event)
        await asyncio.sleep(0)  # who was told goes on before the next read is written

    async def _look(self) -> Position:
        """Find out where to read on, and tell of what is lost."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.xinfo_stream(keys.EVENTS)
        now, info = await pipeline.execute(raise_on_error=False)
        if isinstance(now, Exception):
            raise now
        reached = extent(info)
        if self._position is None:
            return min(reached.last, self._start(*now))
        if missing := gap(self._position, reached):
            self._tell(of_gap(missing))
            return missing.after
        return self._position

    def _start(self, seconds: int, microseconds: int) -> Position:
        """Tell when this process began, by Redis' clock; rather too early than too late."""
        age_ms = int(1000 * (time.monotonic() - self._began)) + 1
        return Position(1000 * seconds + microseconds // 1000 - age_ms, 0)

    def _tell(self, event: Happening) -> None:
        for listener, _ in tuple(self._listeners.values()):
            try:
                listener(event)
            except Exception as error:  # its bug; the others hear the event all the same
                told = {"message": f"{listener!r} failed at {event.id}", "exception": error}
                asyncio.get_running_loop().call_exception_handler(told)


def happening(entry: bytes, fields: Mapping[bytes, bytes]) -> Happening | None:
    """Read an entry of the stream of events; None when it is none of ours."""
    try:
        data = json.loads(fields[b"data"])
        name = fields[b"type"].decode()
    except (KeyError, ValueError, RecursionError):
        return None
    is_ours = isinstance(data, dict) and name.startswith("exam.") and name.isprintable()
    return Happening(entry.decode(), name, data) if is_ours else None


def of_gap(missing: Gap) -> Happening:
    """Make the event that tells of a gap."""
    data = {"asked": str(missing.asked), "resumes": str(missing.resumes), "reason": missing.reason}
    return Happening(str(missing.after), GAP, data)


def extent(info: Any) -> Extent:
    """
    Read what XINFO STREAM says.

    Raises:
        redis.exceptions.RedisError: It is an error other than that there is no such stream.
    """
    if isinstance(info, Exception):
        if "no such key" in str(info):
            return NOTHING
        raise info
    first = info["first-entry"]
    return Extent(
        first=position(first[0].decode()) if first else None,
        last=position(info["last-generated-id"].decode()),
        is_whole=info["entries-added"] == info["length"],
    )
