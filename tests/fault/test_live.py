"""Live events over restarts of the gateway: a client that comes again sees each event once."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from aiohttp import ClientError
from support.client import Client
from support.events import Event, Stream, events, listening_to
from support.stack import Stack
from support.waiting import wait_until

from ops import keys

EXAMS = 500
#: Each is started and decided.
TRANSITIONS = 2 * EXAMS
#: Seconds until all was seen, on a busy machine.
PATIENCE_S = 120
#: Seconds between two tries to connect.
AGAIN_S = 0.1


@dataclass(slots=True)
class Follower:
    """A client that begins now and comes again with its last id, as a browser does."""

    stack: Stack
    stream: Stream = field(default_factory=Stream)
    seen: list[Event] = field(default_factory=list)
    connections: int = 0

    async def follow(self) -> None:
        """Read until all has been seen."""
        while len(self.seen) < TRANSITIONS:
            url = self.stack.lines("part_ready", part="gateway")[-1]["url"]
            with contextlib.suppress(ClientError):
                async with listening_to(f"{url}/events", self.stream.last_id) as response:
                    self.connections += 1
                    await self._read(events(response, self.stream))
            await asyncio.sleep(AGAIN_S)

    async def _read(self, arriving: Any) -> None:
        async for event in arriving:
            self.seen.append(event)
            if len(self.seen) >= TRANSITIONS:
                return

    def has(self, count: int) -> bool:
        """Whether so many were seen."""
        return len(self.seen) >= count

    async def until(self, fact: Callable[[], bool], saying: str) -> None:
        """Wait for a fact while it goes on."""
        await asyncio.to_thread(wait_until, fact, timeout_s=PATIENCE_S, saying=saying)


def command(kind: str, **data: str) -> Any:
    """Make a command's fields."""
    return {"type": kind, "data": json.dumps(data)}


def run_exams(client: Client, first: int, count: int) -> None:
    """Start exams, and report their results."""
    pipeline = client.pipeline(transaction=False)
    for number in range(first, first + count):
        pipeline.xadd(keys.COMMANDS, command("exam.start", pk=f"exam-{number}"))
        pipeline.xadd(keys.COMMANDS, command("exam.finish", pk=f"exam-{number}", status="pass"))
    pipeline.execute()


@pytest.mark.parametrize("signals", [(signal.SIGKILL, signal.SIGTERM)])
async def test_restarts(stack: Stack, signals: tuple[signal.Signals, ...]) -> None:
    """Over 1,000 transitions and two restarts a client sees each transition once, in order."""
    share = EXAMS // (len(signals) + 1)
    with stack.redis() as client:
        follower = Follower(stack)
        following = asyncio.create_task(follower.follow())
        await follower.until(lambda: bool(follower.stream.last_id), "it listens")
        for turn, number in enumerate(signals):
            await asyncio.to_thread(run_exams, client, turn * share, share)
            so_far = 2 * share * turn + share
            await follower.until(partial(follower.has, so_far), "halfway")
            os.kill(stack.pid("gateway"), number)
        await asyncio.to_thread(run_exams, client, len(signals) * share, EXAMS - 2 * share)
        async with asyncio.timeout(PATIENCE_S):
            await following
        written: Any = client.xrange(keys.EVENTS)

    assert [event.id for event in follower.seen] == [entry.decode() for entry, _ in written]
    assert len(written) == TRANSITIONS
    assert {event.type for event in follower.seen} == {"exam.started", "exam.pass"}
    assert follower.connections >= len(signals) + 1
