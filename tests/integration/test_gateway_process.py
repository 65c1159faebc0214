"""The gateway as a process: what it logs, how it starts and how it ends."""

import asyncio
import resource
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from support.breakable import Breakable
from support.gateway import post, process
from support.users import admin
from support.waiting import wait_until

from ops import keys


@pytest.fixture
def client(breakable: Breakable) -> Iterator[Redis]:
    """The test's own view of Redis."""
    with admin(breakable.url) as client:
        yield client


async def test_log_tells_what_was_accepted(breakable: Breakable, tmp_path: Path) -> None:
    """By the time of the 202 the log has a line with the ids of the command and the entry."""
    with process(tmp_path, breakable.url) as gateway:
        _, body = await post(f"{gateway.url()}/exams", {"pk": "math-7"})

        (line,) = gateway.lines("accepted")

    told = {name: line[name] for name in ("pk", "command_id", "entry", "type")}
    body.pop("location")
    assert {**body, "type": "exam.start"} == told


async def test_log_tells_what_was_refused(breakable: Breakable, tmp_path: Path) -> None:
    """The log has a line for each refusal, with its status, problem, method and path."""
    with process(tmp_path, breakable.url) as gateway:
        await post(f"{gateway.url()}/exams?token=secret", {"pk": ""})

        (line,) = gateway.lines("request_refused")

    assert (line["status"], line["method"], line["path"]) == (422, "POST", "/exams")
    assert line["problem"] == "urn:invigil:problem:invalid-command"


async def test_log_tells_why_it_failed(breakable: Breakable, client: Redis, tmp_path: Path) -> None:
    """An unexpected error's traceback is in the log, with the id of the command it hit."""
    client.set(keys.COMMANDS, "not a stream")
    with process(tmp_path, breakable.url) as gateway:
        await post(f"{gateway.url()}/echo", {"text": "hi"})

        (line,) = gateway.lines("request_failed")

    assert line["detail"].startswith("ResponseError: WRONGTYPE")
    assert "Traceback" in line["exception"]
    assert line["command_id"]


async def test_starts_without_redis(tmp_path: Path) -> None:
    """The gateway needs no Redis to start: it answers, and says that Redis is away."""
    with process(tmp_path, f"unix://{tmp_path}/nobody.sock") as gateway:
        status, _ = await post(f"{gateway.url()}/echo", {"text": "hi"})

        (line,) = gateway.lines("request_failed")

    assert status == 503
    assert "nobody.sock" in line["detail"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_ends_in_order(breakable: Breakable, tmp_path: Path, number: signal.Signals) -> None:
    """Asked to end, the gateway answers what is under way and says that it has stopped."""
    with process(tmp_path, breakable.url) as gateway:
        url = gateway.url()
        breakable.freeze()
        under_way = asyncio.create_task(post(f"{url}/echo", {"text": "hi"}))
        await asyncio.wait({under_way}, timeout=0.5)

        gateway.process.send_signal(number)
        await asyncio.to_thread(
            wait_until, lambda: bool(gateway.lines("part_stopping")), saying="stopping"
        )
        breakable.thaw()

        assert (await under_way)[0] == 202
        assert await asyncio.to_thread(gateway.end) == (0, "")
        assert gateway.lines("part_stopped")


async def test_ends_although_redis_hangs(breakable: Breakable, tmp_path: Path) -> None:
    """Asked to end while Redis hangs, the gateway says so to its clients and ends in time."""
    with process(tmp_path, breakable.url) as gateway:
        url = gateway.url()
        breakable.freeze()
        under_way = asyncio.create_task(post(f"{url}/echo", {"text": "hi"}))
        await asyncio.wait({under_way}, timeout=0.5)

        gateway.process.send_signal(signal.SIGTERM)

        assert (await under_way)[0] == 503
        assert await asyncio.to_thread(gateway.end) == (0, "")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux tells another's limits")
def test_takes_many_clients(breakable: Breakable, tmp_path: Path) -> None:
    """The gateway asks for as many open files as it may have: each who listens is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with process(tmp_path, breakable.url) as gateway:
            gateway.url()
            found = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert found[0] == min(hard, 65_536) > 256


def test_port_in_use(breakable: Breakable, tmp_path: Path) -> None:
    """A port that somebody else has ends the start with one line that names the setting."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with process(tmp_path, breakable.url, INVIGIL_PORT=str(port)) as gateway:
            status, said = gateway.end()

    assert status == 2
    assert said == f"invigil: INVIGIL_PORT: port {port} of 127.0.0.1 is in use\n"


async def test_end_of_the_gateway_ends_the_wait(
    breakable: Breakable, client: Redis, tmp_path: Path
) -> None:
    """A gateway that is asked to end does not keep those who wait: they are told what is sure."""
    with process(tmp_path, breakable.url) as gateway:
        url = gateway.url()
        waiting = asyncio.create_task(post(f"{url}/exams", {"pk": "a"}, Prefer="wait=30"))
        is_sent = partial(client.exists, keys.COMMANDS)
        await asyncio.to_thread(wait_until, is_sent, saying="the command is on the stream")

        gateway.process.send_signal(signal.SIGTERM)

        assert 202 == (await waiting)[0]
        assert await asyncio.to_thread(gateway.end) == (0, "")
