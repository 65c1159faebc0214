"""Answering: how long anyone waits for Redis, and what is said when it is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import redis.asyncio
import redis.exceptions

from ops import keys
from ops.connect import EXHAUSTED, GREATEST_ID, is_away, is_exhausted

#: Seconds that anyone waits for Redis before saying that it is away. A server that restarts needs
#: less; a person in front of a spinning page gives up a little later.
ANSWER_LIMIT_S = 3.0
#: What a client is told when Redis is away, and when it takes no entry until a person acts.
UNKNOWN = "whether the command was taken is not known; send it again"
NO_MORE_IDS = (
    "the command was not taken: the stream has an entry with the greatest id there is, and takes "
    "no more until an operator has made it anew (docs/architecture.md, Known limits); then send it "
    "again"
)
NO_ANSWER = f"no answer from Redis within {ANSWER_LIMIT_S:g} s"


class Unavailable(Exception):  # noqa: N818 - says what the world is
    """
    Redis is away, full or read-only; or the disk is. The request can be sent again.

    Attributes:
        advice: What the client is told: what was seen, and what to do.
    """

    def __init__(self, seen: str, *, advice: str = UNKNOWN) -> None:
        super().__init__(seen)
        self.advice = advice


@contextlib.asynccontextmanager
async def answering(*, limit_s: float = ANSWER_LIMIT_S) -> AsyncIterator[None]:
    """
    Bound the time that the body waits for Redis, and give all of its absences one name.

    Raises:
        Unavailable: Instead of every error that another try, later, can cure.
    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as error:
        raise Unavailable(f"no answer from Redis within {limit_s:g} s") from error
    except redis.exceptions.RedisError as error:
        if not is_away(error):
            raise
        raise absence(error) from error


def absence(error: redis.exceptions.RedisError) -> Unavailable:
    """Say what an error of Redis' means for who waits for a command."""
    advice = NO_MORE_IDS if is_exhausted(error) else UNKNOWN
    return Unavailable(f"{type(error).__name__}: {error}", advice=advice)


def fault(error: Exception) -> Exception:
    """Give what went wrong on the way to Redis its name, where another try, later, can cure it."""
    if isinstance(error, redis.exceptions.RedisError) and is_away(error):
        return absence(error)
    return error


async def takes_commands(client: "redis.asyncio.Redis") -> bool:
    """
    Ask Redis to take an entry without giving it one: a PING is answered also by one that is full.

    ``XADD ... NOMKSTREAM`` on a key that is not there goes through every check that stands before
    a command, leaves nothing behind, and is not written to the append-only file.

    Returns:
        Whether a dispatcher is at work.

    Raises:
        redis.exceptions.RedisError: It would not take a command; or the stream takes no more.

    Source: https://redis.io/docs/latest/commands/xadd/
    """
    pipeline = client.pipeline(transaction=False)
    pipeline.xadd(keys.NOWHERE, {"type": "ready"}, nomkstream=True)
    pipeline.xinfo_stream(keys.COMMANDS)
    pipeline.exists(keys.LEASE)
    refused, stream, lease = await pipeline.execute(raise_on_error=False)
    if isinstance(refused, Exception):
        raise refused
    if isinstance(stream, dict) and stream["last-generated-id"] == GREATEST_ID.encode():
        raise redis.exceptions.ResponseError(f"{keys.COMMANDS} has {EXHAUSTED}")
    return bool(lease)
