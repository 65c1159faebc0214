"""The producer: many at once, and each with a fate of its own."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis import Redis
from support.breakable import Breakable
from support.gateway import on_stream
from support.users import admin, as_gateway

from ingest import producer as producer_module
from ingest.answering import ANSWER_LIMIT_S, Unavailable
from ingest.batch import Waiting
from ingest.commands import Command, Echo
from ingest.producer import AT_ONCE, MAX_BATCH, Producer


@pytest.fixture
def client(breakable: Breakable) -> Iterator[Redis]:
    """The test's own view of Redis."""
    with admin(breakable.url) as client:
        yield client


@pytest.fixture
async def producer(breakable: Breakable) -> AsyncIterator[Producer]:
    """A producer without a gateway around it."""
    async with as_gateway(breakable.url) as client:
        producer = Producer(client)
        yield producer
        await producer.aclose()


async def all_on_the_way(producer: Producer) -> list["asyncio.Task[str]"]:
    """Send as many pipelines as there may be at once, of a command each, to one that is frozen."""
    leaving = []
    for _ in range(AT_ONCE):
        leaving.append(asyncio.create_task(producer.send(Command(data=Echo(text="leaving")))))
        await asyncio.wait(leaving, timeout=0.1)
    return leaving


async def test_cancelled_waiter(producer: Producer, breakable: Breakable, client: Redis) -> None:
    """A client that hangs up takes nothing from those whose commands travel with its own."""
    await producer.send(Command(data=Echo(text="first")))
    breakable.freeze()
    sends = [
        asyncio.create_task(producer.send(Command(data=Echo(text=str(number)))))
        for number in range(4)
    ]
    await asyncio.wait(sends, timeout=0.1)

    sends[1].cancel()
    breakable.thaw()

    entries = [await sends[number] for number in (0, 2, 3)]
    texts = [on_stream(client)[entry].data.model_dump()["text"] for entry in entries]
    assert texts == ["0", "2", "3"]


async def test_command_given_up_is_not_sent_later(
    producer: Producer, breakable: Breakable, client: Redis
) -> None:
    """A command that had not left when its client gave up is never sent."""
    await producer.send(Command(data=Echo(text="first")))
    breakable.freeze()
    leaving = await all_on_the_way(producer)
    behind = asyncio.create_task(producer.send(Command(data=Echo(text="behind"))))
    await asyncio.wait({behind}, timeout=0.1)

    behind.cancel()
    breakable.thaw()
    await asyncio.gather(*leaving)
    await producer.aclose()

    assert [one.data.model_dump()["text"] for one in on_stream(client).values()] == [
        "first",
        *["leaving"] * AT_ONCE,
    ]


async def test_more_than_a_batch(producer: Producer, client: Redis) -> None:
    """However many commands come at once, each gets its own entry, in the order of arrival."""
    texts = [str(number) for number in range(2 * MAX_BATCH + 1)]

    entries = await asyncio.gather(
        *(producer.send(Command(data=Echo(text=text))) for text in texts)
    )

    stored = on_stream(client)
    assert entries == list(stored)
    assert texts == [one.data.model_dump()["text"] for one in stored.values()]


async def test_producer_says_unavailable(producer: Producer, breakable: Breakable) -> None:
    """Whatever way Redis is away, the producer's callers see one exception."""
    breakable.kill()

    with pytest.raises(Unavailable):
        await producer.send(Command(data=Echo(text="hi")))


async def test_many_at_once(producer: Producer, client: Redis) -> None:
    """Many commands are on the stream in their order, and each is told its own entry."""
    texts = [str(number) for number in range(MAX_BATCH + 1)]

    entries = await producer.send_many([Command(data=Echo(text=text)) for text in texts])

    stored = on_stream(client)
    assert entries == list(stored)
    assert [one.data.model_dump()["text"] for one in stored.values()] == texts
    assert await producer.send_many([]) == []


@pytest.mark.parametrize("at_once", [1, AT_ONCE])
async def test_next_in_the_turn_of_the_answer(
    producer: Producer, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """A command that comes in the turn in which the last pipeline ends is sent all the same."""
    monkeypatch.setattr(producer_module, "AT_ONCE", at_once)
    loop = asyncio.get_running_loop()
    told: list[object] = []
    ended: asyncio.Future[None] = loop.create_future()

    class Again:
        """Who sends another one as soon as it hears of its own."""

        is_told = False

        def done(self) -> bool:
            """Whether it has heard."""
            return self.is_told

        def set_result(self, entry: object) -> None:
            """Send another one, before anything else that is to run in the next turn."""
            self.is_told = True
            told.append(entry)
            if len(told) < 50:
                loop.call_soon(send)
            elif not ended.done():
                ended.set_result(None)

        set_exception = set_result

    def send() -> None:
        producer.post(Command(data=Echo(text="again")), Again(), taken=lambda _: None)

    for _ in range(at_once):
        send()
        await asyncio.sleep(0)
    await asyncio.wait_for(ended, 20)

    assert [type(entry) for entry in told[:50]] == [bytes] * 50


async def test_many_beside_others(
    producer: Producer, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of each caller stay in their order, whoever else sends meanwhile."""
    chance = random.Random(7)
    send = producer._send
    under_way: list[int] = []
    most = 0

    async def slow(batch: list[Waiting]) -> list[Any]:
        nonlocal most
        under_way.append(len(batch))
        most = max(most, len(under_way))
        await asyncio.sleep(chance.random() / 50)  # as long as it takes, the later one may be first
        answers = await send(batch)
        under_way.remove(len(batch))
        return answers

    async def one_by_one() -> None:
        for _ in range(50):
            await producer.send(Command(data=Echo(text="one")))
            await asyncio.sleep(chance.random() / 100)

    monkeypatch.setattr(producer, "_send", slow)
    sizes = [MAX_BATCH * 2 + 10, 700, 600, MAX_BATCH + 1]
    many = [
        producer.send_many([Command(data=Echo(text=f"{of} {at}")) for at in range(size)])
        for of, size in enumerate(sizes)
    ]
    others = [asyncio.create_task(one_by_one()) for _ in range(3)]
    told = await asyncio.gather(*many)
    await asyncio.gather(*others)

    stored = {entry: one.data.model_dump()["text"] for entry, one in on_stream(client).items()}
    places = {entry: place for place, entry in enumerate(stored)}
    for of, (entries, size) in enumerate(zip(told, sizes, strict=True)):
        assert [stored[str(entry)] for entry in entries] == [f"{of} {at}" for at in range(size)]
        order = [places[str(entry)] for entry in entries]
        assert order == sorted(order)
    assert most == AT_ONCE


async def test_many_while_redis_is_away(producer: Producer, breakable: Breakable) -> None:
    """Each of many learns that Redis does not answer, as soon as one alone would."""
    await producer.send(Command(data=Echo(text="first")))
    breakable.freeze()
    began = time.monotonic()

    fates = await producer.send_many([Command(data=Echo(text="a"))] * 3)
    took_s = time.monotonic() - began
    breakable.thaw()

    assert [type(fate) for fate in fates] == [Unavailable] * 3
    assert took_s < ANSWER_LIMIT_S + 2


async def test_many_given_up_are_not_sent_later(
    producer: Producer, breakable: Breakable, client: Redis
) -> None:
    """Commands that had not left when their sender gave up are never sent."""
    await producer.send(Command(data=Echo(text="first")))
    breakable.freeze()
    leaving = await all_on_the_way(producer)
    behind = asyncio.create_task(producer.send_many([Command(data=Echo(text="behind"))] * 3))
    await asyncio.wait({behind}, timeout=0.1)

    behind.cancel()
    await asyncio.wait({behind})
    breakable.thaw()
    await asyncio.gather(*leaving)
    await producer.aclose()

    texts = [one.data.model_dump()["text"] for one in on_stream(client).values()]
    assert texts == ["first", *["leaving"] * AT_ONCE]


async def test_many_when_redis_is_full(producer: Producer, client: Redis) -> None:
    """A Redis that refuses what it is asked to keep is away, for each of many as for one."""
    client.config_set("maxmemory", "1")

    fates = await producer.send_many([Command(data=Echo(text="a"))] * 2)

    assert [type(fate) for fate in fates] == [Unavailable] * 2
