"""Dead: set an entry aside for people, and do as they decide."""

from importlib.resources import files
from typing import Any

from redis import Redis

from ops import keys, trace

_BURY = files("tasks").joinpath("bury.lua").read_text()
_REPLAY = files("tasks").joinpath("replay.lua").read_text()


def bury(redis: Redis, *, entry: str, reason: str, pk: str | None = None, error: str = "") -> bool:
    """
    Copy an entry, unchanged and with the reason, to the dead letters, and acknowledge it.

    One step, and done once: an entry that is no longer pending is left alone.

    Args:
        pk: Exam whose inbox holds the entry, where it lies in one.
        error: Digest of what it raised, where it did.

    Returns:
        Whether it was buried by this call.
    """
    names = [keys.COMMANDS, keys.DEAD, keys.TIMES, *([keys.inbox(pk)] if pk else [])]
    arguments = [keys.GROUP, entry, reason, error or "", keys.BURIED]
    return bool(redis.register_script(_BURY)(keys=names, args=arguments))


def replay(redis: Redis, letter_id: str) -> str | None:
    """
    Put a dead letter back onto the stream: unchanged, under its command's id, and judged by the
    time at which it first came in; one that had no trace of its own goes on with its entry's.

    One step, and done once: a letter that is gone is left alone.

    Returns:
        The new entry's id; None when the letter is gone, or holds no fields.
    """
    names = [keys.DEAD, keys.COMMANDS, keys.TIMES]
    found: Any = redis.xrange(keys.DEAD, letter_id, letter_id)
    if not found:
        return None
    traced = trace.derived(found[0][1][b"entry"].decode())
    arguments = [letter_id, trace.header(traced)]
    entry = redis.register_script(_REPLAY)(keys=names, args=arguments)
    return entry.decode() if entry else None


def discard(redis: Redis, letter_id: str) -> bool:
    """Remove a dead letter; False when it is gone already."""
    return bool(redis.xdel(keys.DEAD, letter_id))
