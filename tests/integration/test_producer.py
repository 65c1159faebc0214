"""The producer: many at once, and each with a fate of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis
from support.breakable import Breakable
from support.gateway import on_stream

from ingest.commands import Command, Echo
from ingest.producer import MAX_BATCH, Producer, Unavailable
from ops.connect import connect, connect_async


@pytest.fixture
def client(breakable: Breakable) -> Iterator[Redis]:
    """The test's own view of Redis."""
    with connect(breakable.url) as client:
        yield client


@pytest.fixture
async def producer(breakable: Breakable) -> AsyncIterator[Producer]:
    """A producer without a gateway around it."""
    async with connect_async(breakable.url) as client:
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
