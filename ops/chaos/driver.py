"""Driver: candidates and producers, over HTTP and straight onto the stream."""

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping
from typing import Any, Self

import aiohttp
import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ops import keys, logins
from ops.chaos import plan
from ops.chaos.ledger import Ledger, Sent
from ops.chaos.plan import After, Door, Step
from ops.roles import Role
from ops.settings import Settings

#: Name under which the producers of a run send.
SOURCE = "chaos"
#: Seconds for an answer; the gateway's own limit is 3.
ANSWER_LIMIT_S = 6.0
#: Connections of the producers.
CONNECTIONS = 32
#: How often a start, and a result, is sent again when its fate is not known.
START_TRIES = 100
RESULT_TRIES = 4
#: Seconds before sending again.
AGAIN_S = 0.4
PROBE_AGAIN_S = 0.05
#: Seconds that a probe's exam lasts.
PROBE_S = 3


class Driver:
    """Plays the plan at a steady rate, and notes in the ledger what was acknowledged."""

    def __init__(
        self, *, url: str, settings: Settings, ledger: Ledger, seed: int, rate: float
    ) -> None:
        """
        Take where to send; nothing is sent yet.

        Args:
            rate: Commands per second.
        """
        self._url = url
        self._settings = settings
        self._ledger = ledger
        self._seed = seed
        self._rate = rate
        self._playing: set[asyncio.Task[None]] = set()

    @property
    def playing(self) -> int:
        """Number of scripts that are not at their end."""
        return len(self._playing)

    async def __aenter__(self) -> Self:
        """Open what it sends with."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_LIMIT_S)
        connector = aiohttp.TCPConnector(limit=CONNECTIONS * 4)
        self._http = aiohttp.ClientSession(timeout=timeout, connector=connector)
        self._redis = _producer(self._settings)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it, and end the scripts that are not at their end."""
        for task in self._playing:
            task.cancel()
        await self._http.close()
        await self._redis.aclose()

    async def run(self, seconds: float) -> None:
        """Begin scripts for so long, and play each to its end."""
        pause_s = plan.COMMANDS_PER_EXAM / self._rate
        began = time.monotonic()
        number = 0
        while (now_s := time.monotonic() - began) < seconds:
            while number * pause_s <= now_s:
                self._begin(number)
                number += 1
            await asyncio.sleep(pause_s)
        while self._playing:
            await asyncio.wait(self._playing)

    async def start_probe(self, pk: str) -> None:
        """Start an exam as soon as that is possible; return when it is acknowledged."""
        step = Step(type="exam.start", value=PROBE_S, door=Door.HTTP)
        while True:
            sent = await self._send(pk, step, None)
            if sent.entry:
                return
            await asyncio.sleep(PROBE_AGAIN_S)

    def _begin(self, number: int) -> None:
        self._play(self._exam(number))
        if number % plan.ECHO_SHARE == 0:
            self._play(self._echo(number))
            self._play(self._garbage(number))

    def _play(self, script: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(script)
        self._playing.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._playing.discard(task)
        if not task.cancelled() and (error := task.exception()):
            raise error  # the loop's handler shows it: a mistake of the driver's

    async def _exam(self, number: int) -> None:
        script = plan.exam(self._seed, number)
        deadline_ms = None
        for step in script.steps:
            if step.after is After.DEADLINE or step.value is None:
                if deadline_ms is None:
                    return
                if step.after is After.DEADLINE:
                    await asyncio.sleep(deadline_ms / 1000 + step.offset_s - time.time())
            else:
                await asyncio.sleep(step.offset_s)
            sent = await self._insist(script.pk, step, deadline_ms)
            if step.type == "exam.start" and sent.entry and deadline_ms is None:
                deadline_ms = int(sent.entry.partition("-")[0]) + int(step.value or 0) * 1000

    async def _insist(self, pk: str, step: Step, deadline_ms: int | None) -> Sent:
        """Send until it is acknowledged or denied, as a client does; give up at some time."""
        tries = START_TRIES if step.type == "exam.start" else RESULT_TRIES
        while True:
            sent = await self._send(pk, step, deadline_ms)
            tries -= 1
            if sent.entry or sent.denied or not tries:
                return sent
            await asyncio.sleep(AGAIN_S)

    async def _send(self, pk: str, step: Step, deadline_ms: int | None) -> Sent:
        value = deadline_ms if step.value is None else step.value
        if step.door is Door.STREAM:
            name = {"exam.start": "duration", "exam.finish": "status", "exam.expire": "deadline"}
            data = {"pk": pk, name[step.type]: value}
            sent = self._ledger.send(step.door, step.type, pk=pk, value=value, command_id=step.id)
            return await self._xadd(sent, step.type, data)
        sent = self._ledger.send(step.door, step.type, pk=pk, value=value)
        if step.type == "exam.start":
            return await self._post(sent, "/exams", {"pk": pk, "duration": value})
        return await self._post(sent, f"/exams/{pk}/result", {"status": value})

    async def _echo(self, number: int) -> None:
        door, text, delay = plan.echo(self._seed, number)
        data = {"text": text, "delay": delay}
        named = text if door is Door.STREAM else None
        sent = self._ledger.send(door, "echo", value=text, command_id=named)
        if door is Door.STREAM:
            await self._xadd(sent, "echo", data)
        else:
            await self._post(sent, "/echo", data)

    async def _garbage(self, number: int) -> None:
        sent = self._ledger.send(Door.STREAM, "garbage")
        await self._try_xadd(sent, plan.garbage(self._seed, number))

    async def _xadd(self, sent: Sent, type_name: str, data: Mapping[str, Any]) -> Sent:
        named = {"id": sent.id} if sent.id else {}
        fields = {"type": type_name, "data": json.dumps(data), "source": SOURCE, **named}
        return await self._try_xadd(sent, fields)

    async def _try_xadd(self, sent: Sent, fields: Mapping[str, str]) -> Sent:
        try:
            answer: Any = await self._redis.xadd(keys.COMMANDS, dict(fields.items()))
        except (redis.exceptions.RedisError, OSError):
            return sent  # nobody knows
        entry = answer.decode()
        self._ledger.acknowledge(sent, entry=entry, command_id=sent.id or entry)
        return sent

    async def _post(self, sent: Sent, path: str, body: Mapping[str, Any]) -> Sent:
        try:
            async with self._http.post(self._url + path, json=body) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return sent  # nobody knows
        if response.status == 202:
            entry, command_id = answer["entry"], answer["command_id"]
            self._ledger.acknowledge(sent, entry=entry, command_id=command_id)
        elif response.status < 500:
            self._ledger.deny(sent, f"{response.status}")
        return sent


def _producer(settings: Settings) -> "redis.asyncio.Redis":
    """Connect as a producer does that sends nothing twice by itself."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        settings.redis,
        credential_provider=logins.of(settings, Role.PRODUCER),
        driver_info=None,
        max_connections=CONNECTIONS,
        timeout=ANSWER_LIMIT_S,
        socket_timeout=ANSWER_LIMIT_S,
        socket_connect_timeout=ANSWER_LIMIT_S,
        retry=Retry(NoBackoff(), 0),
    )
    return redis.asyncio.Redis.from_pool(pool)
