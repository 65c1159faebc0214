"""Idempotency keys at gateways that are processes: together, killed, and with answers lost."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import aiohttp
from redis import Redis
from support.breakable import Breakable
from support.cutting_proxy import cutting
from support.gateway import on_stream, post, process
from support.users import admin, known

KEY = {"Idempotency-Key": "the-same"}


async def until_answered(urls: list[str]) -> dict[str, Any]:
    """Send a start again and again, as a client does, to whichever gateway lives."""
    for attempt in range(100):
        try:
            status, body = await post(urls[attempt % len(urls)] + "/exams", {}, **KEY)
        except aiohttp.ClientError:
            continue
        assert 202 == status
        return body
    raise AssertionError("no gateway answers")


async def test_two_gateways_one_killed(breakable: Breakable, tmp_path: Path) -> None:
    """A hundred requests with one key, two gateways, one of them killed meanwhile: one command."""
    with (
        process(tmp_path / "a", breakable.url) as first,
        process(tmp_path / "b", breakable.url) as second,
        admin(breakable.url) as client,
    ):
        urls = [first.url(), second.url()]
        asked = [
            asyncio.create_task(until_answered(urls if number % 2 else urls[::-1]))
            for number in range(100)
        ]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        first.process.send_signal(signal.SIGKILL)
        answers = await asyncio.gather(*asked)

        [entry] = on_stream(client)
    assert [entry] == list({answer["entry"] for answer in answers})
    assert 1 == len({answer["command_id"] for answer in answers})
    assert 1 == len({answer["pk"] for answer in answers})


async def test_lost_answer(breakable: Breakable, tmp_path: Path) -> None:
    """What is sent again because Redis' answer was lost is not there twice."""
    socket, logins = breakable.folder / "redis.sock", str(known(breakable.url))
    with (
        cutting(socket, marks=(b"EVAL", b"invigil:once:"), every=2) as proxy,
        process(tmp_path / "a", proxy.url, INVIGIL_REDIS_USERS=logins) as gateway,
        admin(breakable.url) as client,
    ):
        url = f"{gateway.url()}/echo"
        answers = [
            await post(url, {"text": str(number)}, **{"Idempotency-Key": f"k{number}"})
            for number in range(20)
        ]

        found = on_stream(client)
    assert {202} == {status for status, _ in answers}
    assert proxy.cuts >= 10
    assert list(found) == [body["entry"] for _, body in answers]


async def test_kept_for_a_day(breakable: Breakable, tmp_path: Path) -> None:
    """A key is remembered for a day, and no longer."""
    with process(tmp_path / "a", breakable.url) as gateway, admin(breakable.url) as client:
        await post(f"{gateway.url()}/echo", {"text": "hi"}, **KEY)

        assert _remaining(client) == [24 * 3600]


def _remaining(client: Redis) -> list[int]:
    """Seconds until each key is forgotten, rounded up to whole hours."""
    found = list(client.scan_iter("invigil:once:*"))
    return [-(-int(client.ttl(key)) // 3600) * 3600 for key in found]
