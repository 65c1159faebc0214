"""World: what is nobody's fault when work on an exam fails, and is waited out."""

import structlog
from redis import Redis

from filestore.document import Damaged
from filestore.lock import Locked
from ops import keys, outage
from ops.connect import is_away
from ops.events import Event

log = structlog.get_logger()


def is_to_blame(error: Exception) -> bool:
    """Whether another try, later, can cure it: Redis or the disk is away, or a lock is held."""
    return is_away(error) or isinstance(error, OSError)


def say(pk: str, error: Exception) -> None:
    """
    Say once what is away; a lock is one exam's, and is said with its *pk* each time.

    How long to wait is the dispatcher's decision: it rings again for what stays pending.
    """
    match error:
        case Locked():
            log.warning(Event.UNAVAILABLE, what="lock", pk=pk, error=str(error))
        case OSError():
            outage.DISK.went_on(error)
        case _:
            outage.REDIS.went_on(error)


def note_disk(redis: Redis) -> None:
    """Note that the disk took a file; the first time after it did not, ask for all that waits."""
    if outage.DISK.ended():
        redis.set(keys.RING_AGAIN, "1", ex=keys.RING_AGAIN_S)


def note_damage(redis: Redis, pk: str, error: Damaged) -> None:
    """Note an exam's damaged file for the dispatcher, which can make it anew; say it once."""
    if redis.hsetnx(keys.DAMAGED, pk, ""):
        log.error(Event.EXAM_DAMAGED, pk=pk, error=str(error))
