"""Reader: what waits for one client, in which order, and when it is too much."""

import asyncio

from ingest import sse
from ingest.feed import Happening, of_gap
from ingest.positions import START, Gap, Position
from ingest.reader import MOST_WAITING, Reader
from ingest.wanted import Wanted


def tell(reader: Reader, seq: int, pk: str = "a") -> bytes:
    """Let it hear an event; return what it should be given for it."""
    event = Happening(f"5-{seq}", "exam.started", {"pk": pk})
    reader.hear(event, Position(5, seq), sse.frame(event))
    return sse.frame(event)


async def taken(reader: Reader) -> bytes:
    """Take what waits, without waiting."""
    return await reader.take(patience_s=0)


async def test_in_order_and_once() -> None:
    """What happens is given out in order, all at once, and once."""
    reader = Reader(Wanted())
    reader.join(START)
    told = [tell(reader, 1), tell(reader, 2)]

    assert await taken(reader) == b"".join(told)
    assert await taken(reader) == b""
    assert reader.taken == reader.seen == (5, 2)


async def test_what_is_known_is_not_told_again() -> None:
    """Who caught up by reading hears only what lies behind."""
    reader = Reader(Wanted(after=Position(4, 0)))
    tell(reader, 1)  # before it listens at all
    reader.join(Position(5, 2))
    tell(reader, 2)
    third = tell(reader, 3)

    assert await taken(reader) == third


async def test_passed_over_is_seen() -> None:
    """An event of another exam moves the place where a client would come again."""
    reader = Reader(Wanted(pks=frozenset({"a"})))
    reader.join(START)
    tell(reader, 1, pk="b")

    assert await taken(reader) == b""
    assert reader.taken == (5, 1)


async def test_goes_on_behind_a_gap() -> None:
    """Where the stream begins anew with lower ids, they are told."""
    reader = Reader(Wanted())
    reader.join(Position(9, 0))
    gap = of_gap(Gap(asked=Position(9, 0), resumes=START, after=START, reason="made anew"))
    reader.hear(gap, START, sse.frame(gap))
    first = tell(reader, 1)

    assert await taken(reader) == sse.frame(gap) + first


async def test_drop() -> None:
    """One event too many ends it; it resumes behind what it was given."""
    reader = Reader(Wanted())
    reader.join(START)
    tell(reader, 1)
    await taken(reader)
    for number in range(MOST_WAITING):
        tell(reader, 2 + number)
    assert not reader.is_over

    tell(reader, MOST_WAITING + 2)

    assert reader.dropped.done()
    assert await taken(reader) == b""
    assert reader.taken == (5, 1)


async def test_waits_for_what_happens() -> None:
    """Taking waits until something is there."""
    reader = Reader(Wanted())
    reader.join(START)
    taking = asyncio.create_task(reader.take(patience_s=60))
    await asyncio.sleep(0)
    assert not taking.done()

    told = tell(reader, 1)

    assert await taking == told


async def test_end_of_the_process() -> None:
    """Who is closed, be it twice, gets nothing more."""
    reader = Reader(Wanted())
    reader.join(START)
    reader.close()
    reader.close()
    tell(reader, 1)

    assert await taken(reader) == b""
