"""Readings: what Redis tells of the whole system, in one round trip."""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.client import Pipeline

from ops import keys

#: Seconds that a look may take: who collects metrics gives up after some more.
LIMIT_S = 1.0
QUEUES = (keys.QUEUE_EXAM, keys.QUEUE_MAIL, keys.QUEUE_SLOW)
CONSUMERS = (keys.CONSUMER, keys.SLOW_CONSUMER)

#: What Redis said, by the names of `ASKED`; of what it does not have: None.
Readings = Mapping[str, Any]


def _oldest(consumer: str) -> Callable[[Pipeline], object]:
    """Ask for the first of the entries that a consumer holds."""
    return lambda pipeline: pipeline.xpending_range(
        keys.COMMANDS, keys.GROUP, min="-", max="+", count=1, consumername=consumer
    )


def _depth(queue: str) -> Callable[[Pipeline], object]:
    return lambda pipeline: pipeline.llen(keys.CELERY + queue)


#: Every question, by the name of its answer. None of them takes longer when there is more.
ASKED: Mapping[str, Callable[[Pipeline], object]] = MappingProxyType(
    {
        "time": lambda pipeline: pipeline.time(),
        "counted": lambda pipeline: pipeline.hgetall(keys.METRICS),
        "changed": lambda pipeline: pipeline.hgetall(keys.COUNTS),
        "workers": lambda pipeline: pipeline.hgetall(keys.WORKERS),
        "commands": lambda pipeline: pipeline.xinfo_stream(keys.COMMANDS),
        "groups": lambda pipeline: pipeline.xinfo_groups(keys.COMMANDS),
        "pending": lambda pipeline: pipeline.xpending(keys.COMMANDS, keys.GROUP),
        **{f"oldest {name}": _oldest(name) for name in CONSUMERS},
        **{f"queue {name}": _depth(name) for name in QUEUES},
        "unacked": lambda pipeline: pipeline.hlen(f"{keys.CELERY}unacked"),
        "deadlines": lambda pipeline: pipeline.zcard(keys.DEADLINES),
        "next deadline": lambda pipeline: pipeline.zrange(keys.DEADLINES, 0, 0, withscores=True),
        "events": lambda pipeline: pipeline.xinfo_stream(keys.EVENTS),
        "dead": lambda pipeline: pipeline.xinfo_stream(keys.DEAD),
        "damaged": lambda pipeline: pipeline.hlen(keys.DAMAGED),
        "lease": lambda pipeline: pipeline.exists(keys.LEASE),
        "memory": lambda pipeline: pipeline.execute_command("INFO", "memory"),
    }
)


async def look(client: "redis.asyncio.Redis") -> Readings | None:
    """
    Ask everything at once; None while Redis is away.

    Raises:
        redis.exceptions.NoPermissionError: This user may not ask. It must not look like a zero.
    """
    pipeline = client.pipeline(transaction=False)
    for ask in ASKED.values():
        ask(pipeline)
    try:
        async with asyncio.timeout(LIMIT_S):
            answers = await pipeline.execute(raise_on_error=False)
    except (TimeoutError, OSError, redis.exceptions.RedisError):
        return None
    if isinstance(answers[0], Exception):  # it is there, and not ready yet
        return None
    for answer in answers:
        if isinstance(answer, redis.exceptions.NoPermissionError):
            raise answer
    pairs = zip(ASKED, answers, strict=True)
    return {name: None if isinstance(one, Exception) else one for name, one in pairs}
