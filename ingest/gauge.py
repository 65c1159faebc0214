"""Gauge: looks again and again at how much waits, and turns away what there is no room for."""

import asyncio
import contextlib
import contextvars
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis.asyncio
import redis.exceptions
import structlog

from ingest.feed import CANCEL_AGAIN_S
from ingest.pressure import Kind, Limits, Load, Pace, refusal
from ingest.problems import Name, Refusal, problem
from ops import keys, lag
from ops.events import Event
from ops.settings import Settings

#: Seconds between two looks. In between the gateway takes what it can: thousands of commands.
LOOK_EVERY_S = 0.5
#: Seconds for which a body of many commands waits for room.
PATIENCE_S = 30.0

log = structlog.get_logger()


class Gauge:
    """
    The load as this gateway saw it last, and what it takes under it.

    While Redis or the disk does not say, the last answer stands: that they are away is told by
    whoever needs them.
    """

    def __init__(self, client: "redis.asyncio.Redis", settings: Settings) -> None:
        self._redis = client
        self._folder = settings.data
        self._limits = Limits(
            waiting=settings.max_waiting,
            waited_s=settings.max_wait,
            memory=settings.max_memory / 100,
            free_bytes=settings.min_disk << 20,
        )
        self._load = Load()
        self._taken = 0
        self._pace = Pace()
        self._looking: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._said: Kind | None = None
        self._turned_away = 0

    @property
    def load(self) -> Load:
        """What was seen last."""
        return self._load

    def why(self, kind: Kind) -> str | None:
        """Say why a command of a kind is not taken now; None: it is."""
        return refusal(self._load, self._limits, kind, taken=self._taken)

    def check(self, kind: Kind, *, count: int = 1) -> None:
        """
        See that there is room for commands, which are then counted until the next look.

        Raises:
            Refusal: There is none now. Nothing was taken.
        """
        if why := self.why(kind):
            self._turned_away += count
            raise Refusal(problem(Name.OVERLOADED, f"{why}; nothing was taken, send it again"))
        self._taken += count

    def count(self) -> None:
        """Count a command as `check` does, for which there is room."""
        self._taken += 1

    async def make_room(self, kind: Kind, *, count: int) -> None:
        """
        Wait until there is room for so many commands of a kind.

        Raises:
            Refusal: There is none within `PATIENCE_S`.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self.why(kind):
                    self._changed.clear()
                    await self._changed.wait()
        self.check(kind, count=count)

    def start(self) -> None:
        """Begin to look."""
        # Not in the context of whoever starts it: its lines are nobody's.
        self._looking = asyncio.create_task(self._look_on(), context=contextvars.Context())

    async def aclose(self) -> None:
        """Look no more."""
        # Again and again: `asyncio.wait_for` of Python 3.11, within redis-py, can lose one.
        while self._looking is not None and not self._looking.done():
            self._looking.cancel()
            await asyncio.wait({self._looking}, timeout=CANCEL_AGAIN_S)

    async def _look_on(self) -> None:
        while True:
            before = self._taken
            with contextlib.suppress(redis.exceptions.RedisError, OSError):
                seen = await self._look()
                # What was taken meanwhile may not have been seen: rather counted twice than not.
                self._load, self._taken = seen, self._taken - before
            self._changed.set()
            self._say()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> Load:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.time()
        pipeline.xlen(keys.COMMANDS)
        pipeline.xinfo_groups(keys.COMMANDS)
        pipeline.get(keys.LINE)
        pipeline.execute_command("INFO", "memory")
        now, length, groups, line, memory = await pipeline.execute(raise_on_error=False)
        for answer in (now, length, line):
            if isinstance(answer, Exception):
                raise answer
        found = () if isinstance(groups, Exception) else groups  # without a stream there are none
        ours = lag.ours(found)
        is_behind = length and lag.has_unread(found)
        unread = length if ours is None else ours["lag"] or 0
        now_s = now[0] + now[1] / 1e6
        held, waited_ms = map(int, (line or b"0 0").split())
        read = ours["entries-read"] if ours else None
        in_line = unread + held
        return Load(
            waiting=unread + (ours["pending"] if ours else 0),
            in_line=in_line,
            waited_s=waited_ms / 1000,
            unread_s=await self._unread_s(ours, now_s) if is_behind else 0.0,
            pace=self._pace.note(
                now_s, gone=None if read is None else read - held, in_line=in_line
            ),
            memory=_memory(memory),
            free_bytes=await asyncio.to_thread(_free_bytes, self._folder),
        )

    async def _unread_s(self, group: Mapping[str, Any] | None, now_s: float) -> float:
        """Find how long the oldest entry that nobody has read has been there."""
        after = f"({group['last-delivered-id'].decode()}" if group else "-"
        first: Any = await self._redis.xrange(keys.COMMANDS, min=after, count=1)
        if not first:
            return 0.0
        came_ms = int(first[0][0].partition(b"-")[0])
        return max(0.0, now_s - came_ms / 1000)

    def _say(self) -> None:
        """
        Say once that starts are turned away, or results as well, and once that all are taken again.

        Not for each request: in an overload that would be thousands of lines a second.
        """
        away = next((kind for kind in (Kind.RESULT, Kind.START) if self.why(kind)), None)
        if away == self._said:
            return
        self._said = away
        if away:
            log.warning(Event.OVERLOADED, what=away, reason=self.why(away))
        else:
            log.info(Event.ROOM_AGAIN, turned_away=self._turned_away)
            self._turned_away = 0


def _free_bytes(folder: Path) -> int | None:
    try:
        disk = os.statvfs(folder)
    except OSError:  # whoever writes there says so
        return None
    return disk.f_bavail * disk.f_frsize


def _memory(info: Any) -> float:
    """Read the share of its memory that Redis has in use; a Redis that does not say has room."""
    if isinstance(info, Exception) or not info.get("maxmemory"):
        return 0.0
    return float(info["used_memory"] / info["maxmemory"])
