"""Whole: a system of a bench's own, and what benches ask of it."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import aiohttp
from redis import Redis

from ops import keys, logins
from ops.bench.door import OPEN
from ops.bench.tools import CannotMeasure
from ops.private_stack import NotReady, Stack
from ops.roles import Role

#: Seconds between two looks at how much is done, and without anything new until that is given up.
LOOK_S = 0.02
STILL_S = 60.0
NDJSON = {"Content-Type": "application/x-ndjson"}


class Whole:
    """A running system, a client of its gateway, and one of its Redis."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, redis: Redis) -> None:
        self.stack = stack
        self.http = http
        self.redis = redis

    async def send(self, body: bytes) -> None:
        """
        Send commands in one body, as `body_of` makes it.

        Raises:
            CannotMeasure: One of them was not taken.
        """
        url = f"{self.stack.url}/commands"
        async with self.http.post(url, data=body, headers=NDJSON) as answer:
            said = await answer.read()
        for line in said.splitlines() if b'"problem"' in said else ():
            if "problem" in json.loads(line):
                raise CannotMeasure(f"a command was not taken: {line.decode()}")

    async def post(
        self, path: str, body: dict[str, Any], *, status: int = 202, **headers: str
    ) -> None:
        """
        Send one command.

        Raises:
            CannotMeasure: It was not answered with that status.
        """
        url = f"{self.stack.url}{path}"
        async with self.http.post(url, json=body, headers=headers) as answer:
            await answer.read()
            if answer.status != status:
                raise CannotMeasure(f"{path}: {answer.status} {await answer.text()}")

    def count(self, status: str) -> int:
        """How many exams have come to a status, on the disk and in the books."""
        found: Any = self.redis.hget(keys.COUNTS, status)
        return int(found or 0)

    async def until(self, status: str, count: int) -> float:
        """
        Wait until so many exams have come to a status; return when, by `time.monotonic`.

        Raises:
            CannotMeasure: Nothing has moved for `STILL_S`.
        """
        seen, moved = self.count(status), time.monotonic()
        while seen < count:
            await asyncio.sleep(LOOK_S)
            if (now := self.count(status)) != seen:
                seen, moved = now, time.monotonic()
            elif time.monotonic() - moved > STILL_S:
                raise CannotMeasure(f"{count - seen:,} exams have not come to {status}")
        return time.monotonic()


def body_of(commands: Iterable[tuple[str, dict[str, Any]]]) -> bytes:
    """Make a body of commands, type and data of each: before the clock of a bench runs."""
    lines = (json.dumps({"type": kind, "data": data}) for kind, data in commands)
    return "\n".join(lines).encode()


@contextlib.asynccontextmanager
async def running(folder: Path, **given: object) -> AsyncIterator[Whole]:
    """
    Run a system that turns nobody away, until it is not needed any more.

    Raises:
        CannotMeasure: It does not start.
    """
    stack = Stack(folder, has_stand_by=False, **OPEN, **given)
    try:
        await _start(stack)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
            with logins.connect(stack.settings, Role.AUDITOR) as client:
                yield Whole(stack, http, client)
    finally:
        await stack.stop()


async def _start(stack: Stack) -> None:
    try:
        await stack.start()
    except NotReady as error:
        raise CannotMeasure(f"the system did not start:\n{error}") from error
