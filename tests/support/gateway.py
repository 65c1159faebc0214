"""Gateway: in the test's own process, and as a process of its own."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer
from redis import Redis

from filestore.store import Store
from ingest.commands import Command, decode
from ingest.gateway import make_app
from ops import keys
from support import users
from support.waiting import wait_until

Http = TestClient[web.Request, web.Application]

#: What `invigil gateway` does, without the command line around it.
RUN = "import sys; from ingest.gateway import run; from ops.settings import Settings; "
RUN += "sys.exit(run(Settings.read()))"


@contextlib.asynccontextmanager
async def serving(redis_url: str, store: Store) -> AsyncIterator[Http]:
    """Serve in this process, and give a client of it."""
    async with users.as_gateway(redis_url) as client:
        app = make_app(users.of(redis_url), client, store)
        async with TestClient(TestServer(app)) as http:
            yield http


def on_stream(redis: Redis) -> dict[str, Command]:
    """All commands on the stream, by entry id."""
    entries: Any = redis.xrange(keys.COMMANDS)
    return {entry.decode(): decode(fields.items()) for entry, fields in entries}


async def problem(response: ClientResponse) -> tuple[int, str]:
    """Check that an answer is a problem as the RFC has it; return status and name."""
    document = json.loads(await response.text())
    assert response.content_type == "application/problem+json"
    assert response.status == document["status"]
    assert {"type", "title", "detail"} < set(document)
    return response.status, document["type"].removeprefix("urn:invigil:problem:")


class Process:
    """The gateway as `invigil gateway` runs it."""

    def __init__(self, folder: Path, redis_url: str, **env: str) -> None:
        self._log = folder / "logs" / f"{env.get('INVIGIL_PART', 'gateway')}.jsonl"
        given = {"INVIGIL_DATA": str(folder), "INVIGIL_PORT": "0", **users.variables(redis_url)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN],
            env={**os.environ, **given, **env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Lines of its log of one event."""
        text = self._log.read_text() if self._log.exists() else ""
        found = [json.loads(line) for line in text.splitlines()]
        return [line for line in found if line["event"] == event]

    def url(self) -> str:
        """Where it listens, once it does."""
        wait_until(lambda: bool(self.lines("part_ready")), saying="the gateway is ready")
        return str(self.lines("part_ready")[0]["url"])

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit status and standard error."""
        _, said = self.process.communicate(timeout=10)
        return self.process.returncode, said


@contextlib.contextmanager
def process(folder: Path, redis_url: str, **env: str) -> Iterator[Process]:
    """Run the gateway, and leave nothing behind."""
    gateway = Process(folder, redis_url, **env)
    try:
        yield gateway
    finally:
        gateway.process.kill()
        gateway.process.communicate()


async def post(url: str, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
    """Send one request from a client of its own."""

    async with (
        ClientSession() as session,
        session.post(url, json=body, headers=headers) as response,
    ):
        return response.status, await response.json(content_type=None)
