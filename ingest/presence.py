"""Presence: whether an exam that a result names has been started, or still may be."""

import asyncio

import redis.asyncio
import redis.exceptions

from filestore.store import Store
from ingest.answering import answering
from ingest.disk import look
from ops import keys
from ops.lag import has_unread

#: How often to look, and the seconds between two looks: about one second in all.
LOOKS = 20
PAUSE_S = 0.05


async def is_unknown(client: "redis.asyncio.Redis", store: Store, pk: str) -> bool:
    """
    Prove that nobody has started an exam.

    Redis is asked before the disk: a start that leaves Redis in between is on the disk by then.

    Returns:
        False also when there is no proof within a second: the result is judged where it arrives.

    Raises:
        Unavailable: Redis or the disk does not answer.
    """
    if await look(store.exists, pk):
        return False
    for _ in range(LOOKS):
        may_start = await _may_start(client, pk)
        if await look(store.exists, pk):
            return False
        if not may_start:
            return True
        await asyncio.sleep(PAUSE_S)
    return False


async def _may_start(client: "redis.asyncio.Redis", pk: str) -> bool:
    """Whether a start of this exam can lie on the stream, in a dispatcher's hand or the inbox."""
    async with answering():
        pipeline = client.pipeline(transaction=True)
        pipeline.xlen(keys.COMMANDS)
        pipeline.xinfo_groups(keys.COMMANDS)
        pipeline.exists(keys.IN_HAND)
        pipeline.exists(keys.inbox(pk))
        length, groups, in_hand, inbox = await pipeline.execute(raise_on_error=False)
    if isinstance(groups, redis.exceptions.ResponseError):  # no such key: nobody sent anything
        groups = []
    return bool(in_hand or inbox or (length and has_unread(groups)))
