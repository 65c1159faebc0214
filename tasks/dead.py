"""Dead: set an entry aside for people."""

from importlib.resources import files

from redis import Redis

from ops import keys

_BURY = files("tasks").joinpath("bury.lua").read_text()


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
    names = [keys.COMMANDS, keys.DEAD, *([keys.inbox(pk)] if pk else [])]
    arguments = [keys.GROUP, entry, reason, *([error] if error else [])]
    return bool(redis.register_script(_BURY)(keys=names, args=arguments))
