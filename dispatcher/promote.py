"""Promote: deadlines that have passed come back onto the stream as commands."""

from dataclasses import dataclass
from importlib.resources import files

from redis import Redis

from ops import keys

#: Deadlines turned in one call; the next call follows at once.
MOST = 500

_PROMOTE = files("dispatcher").joinpath("promote.lua").read_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """A deadline that became the entry *entry*, *late_ms* after its time."""

    pk: str
    deadline_ms: int
    entry: str
    late_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What was due, and in how many milliseconds the next one is; None when none waits."""

    fired: tuple[Fired, ...]
    next_in_ms: int | None


def promote(redis: Redis) -> Promotion:
    """Move what is due from the deadlines onto the stream. Done twice, it does nothing twice."""
    names = [keys.DEADLINES, keys.COMMANDS]
    now_ms, next_ms, flat = redis.register_script(_PROMOTE)(keys=names, args=[MOST])
    triples = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    fired = tuple(
        Fired(
            pk=pk.decode("utf-8", "backslashreplace"),
            deadline_ms=int(deadline),
            entry=entry.decode(),
            late_ms=now_ms - int(deadline),
        )
        for pk, deadline, entry in triples
    )
    return Promotion(fired=fired, next_in_ms=None if next_ms < 0 else max(0, next_ms - now_ms))
