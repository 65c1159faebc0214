"""
Attempts: how often work on an exam was begun and came to no end.

The number is raised before the work and deleted after it, by success or by the world's fault. What
remains is what a command did that raises, or kills its worker: the only trace that the latter
leaves.
"""

import hashlib
import traceback

from redis import Redis

from ops import keys
from tasks.transaction import Transaction

#: Attempts at all of an exam's commands together. From there on each is tried alone.
TOGETHER = 2
#: Seconds for which an attempt is remembered; longer than any redelivery takes.
KEPT_S = 24 * 3600


def begin_alone(redis: Redis, pk: str, entry: str) -> int:
    """Note that work on one entry alone begins; return how often it has."""
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.hincrby(keys.attempts(pk), entry, 1)
        pipeline.expire(keys.attempts(pk), KEPT_S)
        count, _ = pipeline.execute()
    return int(count)


def end(redis: Redis | Transaction, *pks: str) -> None:
    """Forget all attempts at the commands of some exams."""
    redis.delete(*map(keys.attempts_together, pks), *map(keys.attempts, pks))


def end_alone(redis: Redis, pk: str, entry: str) -> None:
    """Forget the attempts at one entry: it was applied, or rightly waits."""
    redis.hdel(keys.attempts(pk), entry)


def note_error(redis: Redis, pk: str, entry: str, error: Exception) -> None:
    """Keep the digest of what an entry raised, for its dead letter."""
    redis.hset(keys.attempts(pk), f"error {entry}", digest(error))


def error_of(redis: Redis, pk: str, entry: str) -> str:
    """Return the digest of what an entry raised last; empty when it killed its worker."""
    found = redis.hget(keys.attempts(pk), f"error {entry}")
    return found.decode() if isinstance(found, bytes) else ""


def digest(error: Exception) -> str:
    """
    Say in one line what was raised where, with a mark that is the same for the same traceback.

    The mark is made from files' names, functions and the type: a value or a line that moved does
    not change it.
    """
    frames = traceback.extract_tb(error.__traceback__)
    path = [f"{frame.filename.rpartition('/')[2]}:{frame.name}" for frame in frames]
    mark = hashlib.sha256("\n".join([*path, type(error).__name__]).encode()).hexdigest()[:12]
    where = f"{path[-1]}:{frames[-1].lineno}" if frames else "nowhere"
    return f"{type(error).__name__} in {where} [{mark}]: {error!s:.200}"
