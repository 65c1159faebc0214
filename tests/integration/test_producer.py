"""The producer: many at once, and each with a fate of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis
from support.breakable import Breakable
from support.gateway import on_stream
from support.users import admin, as_gateway

from ingest.answering import ANSWER_LIMIT_S, Unavailable
from ingest.commands import Command, Echo
from ingest.producer import MAX_BATCH, Producer


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
    leaving = asyncio.create_task(producer.send(Command(data=Echo(text="leaving"))))
    await asyncio.wait({leaving}, timeout=0.1)
    behind = asyncio.create_task(producer.send(Command(data=Echo(text="behind"))))
    await asyncio.wait({behind}, timeout=0.1)

    behind.cancel()
    breakable.thaw()
    await leaving
    await producer.aclose()

    assert [one.data.model_dump()["text"] for one in on_stream(client).values()] == [
        "first",
        "leaving",
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
    leaving = asyncio.create_task(producer.send(Command(data=Echo(text="leaving"))))
    await asyncio.wait({leaving}, timeout=0.1)
    behind = asyncio.create_task(producer.send_many([Command(data=Echo(text="behind"))] * 3))
    await asyncio.wait({behind}, timeout=0.1)

    behind.cancel()
    await asyncio.wait({behind})
    breakable.thaw()
    await leaving
    await producer.aclose()

    texts = [one.data.model_dump()["text"] for one in on_stream(client).values()]
    assert texts == ["first", "leaving"]


async def test_many_when_redis_is_full(producer: Producer, client: Redis) -> None:
    """A Redis that refuses what it is asked to keep is away, for each of many as for one."""
    client.config_set("maxmemory", "1")

    fates = await producer.send_many([Command(data=Echo(text="a"))] * 2)

    assert [type(fate) for fate in fates] == [Unavailable] * 2
