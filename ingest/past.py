"""Past: the events that Redis holds, page by page, for readers that come again."""

import asyncio
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from ingest.answering import answering
from ingest.feed import Happening, extent, happening, of_gap
from ingest.positions import Gap, Position, gap, position
from ops import keys

#: Events in one page.
PAGE_COUNT = 500
#: Pages that are read at once: when a gateway starts, all of its readers come again together, and
#: what else it asks Redis must not wait for all of them.
MOST_READS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    A stretch of the stream.

    Attributes:
        events: What happened, a gap before it included.
        upto: Where it ends; there the next one begins.
        is_last: Whether it reached the end that was asked for.
    """

    events: tuple[Happening, ...]
    upto: Position
    is_last: bool


class Past:
    """Reads the stream of events for one reader at a time."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self._redis = client
        self._places = asyncio.Semaphore(MOST_READS)

    async def page(self, after: Position, *, until: Position | None) -> Page:
        """
        Read what lies behind *after*, up to and with *until*, or up to now.

        How far the stream reaches is asked in the same step, so that nothing is trimmed away
        between the look and the read.

        Raises:
            Unavailable: Redis does not answer.
        """
        async with answering(), self._places:
            pipeline = self._redis.pipeline(transaction=True)
            pipeline.xinfo_stream(keys.EVENTS)
            last = "+" if until is None else str(until)
            pipeline.xrange(keys.EVENTS, f"({after}", last, count=PAGE_COUNT)
            info, found = await pipeline.execute(raise_on_error=False)
        if isinstance(found, Exception):
            raise found
        return _page(found, after, until, missing=gap(after, extent(info)))


def _page(found: Any, after: Position, until: Position | None, *, missing: Gap | None) -> Page:
    events = [event for entry, fields in found if (event := happening(entry, fields))]
    is_last = len(found) < PAGE_COUNT
    upto = missing.after if missing else after
    if found:
        upto = position(found[-1][0].decode())
    if is_last and until is not None:
        upto = max(upto, until)
    before = [of_gap(missing)] if missing else []
    return Page(events=(*before, *events), upto=upto, is_last=is_last)
