"""Feed: every event once, in order, whatever Redis goes through meanwhile."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from structlog.testing import capture_logs
from support.breakable import Breakable
from support.client import Client
from support.users import admin, as_gateway
from support.waiting import wait_until

from ingest.feed import GAP, Feed, Happening
from ops import keys, outage

#: Seconds for what is waited for to become true, on a busy machine.
PATIENCE_S = 30


@pytest.fixture(autouse=True)
def nothing_is_away() -> None:
    """What another test's gateway found in this process is forgotten."""
    outage.REDIS.forget()


@pytest.fixture
def client(breakable: Breakable) -> Iterator[Client]:
    """The test's own view of Redis."""
    with admin(breakable.url) as client:
        yield client


class Heard(list[Happening]):
    """What a listener heard, and a way to wait for it."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._changed = asyncio.Event()
        self.end = feed.subscribe(self._hear)

    def _hear(self, event: Happening) -> None:
        self.append(event)
        self._changed.set()

    @property
    def pks(self) -> list[str]:
        """Exams of the events so far."""
        return [event.pk for event in self]

    async def until(self, pk: str) -> list[str]:
        """Wait for an exam's event; return the exams of all events so far."""
        async with asyncio.timeout(PATIENCE_S):
            while pk not in self.pks:
                self._changed.clear()
                await self._changed.wait()
        return self.pks


@contextlib.asynccontextmanager
async def reading(url: str) -> AsyncIterator[Feed]:
    """Read the stream of events of a server."""
    async with as_gateway(url) as client:
        feed = Feed(client)
        feed.start()
        try:
            yield feed
        finally:
            await feed.aclose()


async def seen(fact: Callable[[], bool], *, saying: str) -> None:
    """Wait for a fact, and let the loop go on."""
    await asyncio.to_thread(wait_until, fact, saying=saying)


async def at_work(feed: Feed) -> None:
    """Wait until the feed knows where it is."""
    await seen(lambda: feed.position is not None, saying="the feed has begun")


def happen(client: Client, *pks: str) -> list[str]:
    """Let exams start; return the events' ids."""
    entries = []
    for pk in pks:
        fields = {"type": "exam.started", "data": json.dumps({"pk": pk, "command": f"c-{pk}"})}
        entries.append(client.xadd(keys.EVENTS, fields).decode())
    return entries


async def test_all_hear_all(breakable: Breakable, client: Client) -> None:
    """Each listener hears each event from its subscription on, once, in order, and then none."""
    async with reading(breakable.url) as feed:
        first, second = Heard(feed), Heard(feed)
        await at_work(feed)
        entries = happen(client, "a", "b")
        await second.until("b")
        second.end()
        second.end()  # twice is no error
        happen(client, "c")
        await first.until("c")

    assert first.pks == ["a", "b", "c"]
    assert second.pks == ["a", "b"]
    assert [event.id for event in second] == entries
    assert second[0].command == "c-a"


async def test_more_than_one_read_brings(breakable: Breakable, client: Client) -> None:
    """However many events there are at once, they come in order."""
    pks = [f"exam-{number}" for number in range(1000)]
    async with reading(breakable.url) as feed:
        heard = Heard(feed)
        await at_work(feed)
        await asyncio.to_thread(happen, client, *pks)
        await heard.until(pks[-1])

    assert heard.pks == pks


async def test_outage_hides_nothing(breakable: Breakable, client: Client) -> None:
    """What happened while this process had no Redis is heard when it has one; said once."""
    with capture_logs() as lines:
        async with reading(breakable.url) as feed:
            heard = Heard(feed)
            await at_work(feed)
            happen(client, "before")
            await heard.until("before")
            breakable.kill()
            await seen(lambda: bool(lines), saying="Redis is away")
            breakable.start()
            happen(client, "after")
            await heard.until("after")

    assert heard.pks == ["before", "after"]
    assert [line["event"] for line in lines] == ["unavailable", "available"]


async def test_starts_without_redis(breakable: Breakable, client: Client) -> None:
    """A process that found no Redis as it began hears what happened since, not what was before."""
    happen(client, "long ago")
    breakable.kill()
    with capture_logs() as lines:
        async with reading(breakable.url) as feed:
            heard = Heard(feed)
            await seen(lambda: bool(lines), saying="Redis is away")
            breakable.start()
            happen(client, "meanwhile")
            await heard.until("meanwhile")

    assert heard.pks[-1:] == ["meanwhile"]
    assert "available" in [line["event"] for line in lines]


async def test_lost_events_are_a_gap(breakable: Breakable, client: Client) -> None:
    """Events that left Redis while this process had none are not passed over in silence."""
    async with reading(breakable.url) as feed:
        heard = Heard(feed)
        await at_work(feed)
        (last,) = happen(client, "last")
        await heard.until("last")
        with capture_logs() as lines:
            breakable.kill()
            await seen(lambda: bool(lines), saying="Redis is away")
        (breakable.folder / "appendonlydir").rename(breakable.folder / "away")
        breakable.start()
        (there,) = happen(client, "there")
        await heard.until("there")

    (missing,) = [event for event in heard if event.type == GAP]
    assert missing.data["asked"] == last
    assert heard.pks[-1] == "there"
    assert there > last


async def test_stream_made_anew_with_lower_ids(breakable: Breakable, client: Client) -> None:
    """A stream that begins again below what was seen is followed, and the break is told."""
    async with reading(breakable.url) as feed:
        heard = Heard(feed)
        await at_work(feed)
        fields = {"type": "exam.started", "data": '{"pk": "forged"}'}
        client.xadd(keys.EVENTS, fields, id="9999999999999-0")
        await heard.until("forged")
        client.delete(keys.EVENTS)
        await seen(lambda: len(heard) == 2, saying="the break is told")
        happen(client, "anew")
        await heard.until("anew")

    assert [event.type for event in heard] == ["exam.started", GAP, "exam.started"]
    assert heard[1].data["resumes"] == "0-0"


async def test_strangers_are_passed_over(breakable: Breakable, client: Client) -> None:
    """An entry that no worker wrote ends nothing."""
    async with reading(breakable.url) as feed:
        heard = Heard(feed)
        await at_work(feed)
        client.xadd(keys.EVENTS, {"nothing": b"\xff"})
        happen(client, "a")
        await heard.until("a")

    assert heard.pks == ["a"]


async def test_nobody_listens(breakable: Breakable, client: Client) -> None:
    """What happens while nobody needs it is passed over, and nothing that happens after that."""
    is_needed = [False]
    told: list[str] = []
    async with reading(breakable.url) as feed:
        feed.subscribe(lambda event: told.append(event.pk), is_needed=lambda: is_needed[0])
        await at_work(feed)
        last = happen(client, *map(str, range(50)))[-1]
        await seen(lambda: str(feed.position) == last, saying="all are passed over")
        is_needed[0] = True
        happen(client, "a", "b")
        await seen(lambda: "b" in told, saying="heard")

    assert told == ["a", "b"]


async def test_listener_that_fails(breakable: Breakable, client: Client) -> None:
    """A listener's own error is reported, and the others hear the event."""
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: reported.append(told))

    def fail(event: Happening) -> None:
        raise ZeroDivisionError

    async with reading(breakable.url) as feed:
        feed.subscribe(fail)
        heard = Heard(feed)
        await at_work(feed)
        happen(client, "a", "b")
        await heard.until("b")

    assert heard.pks == ["a", "b"]
    assert [type(told["exception"]) for told in reported] == [ZeroDivisionError] * 2


async def test_reading_is_not_writing(breakable: Breakable, client: Client) -> None:
    """That events can be read says nothing of a Redis that takes no command: it is still away."""
    outage.REDIS.went_on(ConnectionError("full"))
    try:
        async with reading(breakable.url) as feed:
            heard = Heard(feed)
            await at_work(feed)
            happen(client, "a")
            await heard.until("a")

        assert outage.REDIS.is_away
    finally:
        outage.REDIS.forget()
