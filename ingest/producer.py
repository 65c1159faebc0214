"""Producer: the gateway's way onto the stream. Commands of concurrent requests travel together."""

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import redis.asyncio
import redis.exceptions

from ingest.commands import Command, encode
from ingest.once import KEPT_S, Key, fingerprint
from ops import keys, outage
from ops.connect import EXHAUSTED, GREATEST_ID, is_away, is_exhausted

#: Seconds that anyone waits for Redis before saying that it is away. A server that restarts needs
#: less; a person in front of a spinning page gives up a little later.
ANSWER_LIMIT_S = 3.0
#: Entries in one pipeline. More of them save nothing, and hold up those behind them.
MAX_BATCH = 1000
#: What a client is told when Redis is away, and when it takes no entry until a person acts.
UNKNOWN = "whether the command was taken is not known; send it again"
NO_MORE_IDS = (
    "the command was not taken: the stream has an entry with the greatest id there is, and takes "
    "no more until an operator has made it anew (docs/architecture.md, Known limits); then send it "
    "again"
)


_ONCE = files("ingest").joinpath("once.lua").read_text()


class KeyReused(Exception):  # noqa: N818 - says what was done
    """A key that has been used for a command which asks for something else."""


class Unavailable(Exception):  # noqa: N818 - says what the world is
    """
    Redis is away, full or read-only; or the disk is. The request can be sent again.

    Attributes:
        advice: What the client is told: what was seen, and what to do.
    """

    def __init__(self, seen: str, *, advice: str = UNKNOWN) -> None:
        super().__init__(seen)
        self.advice = advice


@contextlib.asynccontextmanager
async def answering(*, limit_s: float = ANSWER_LIMIT_S) -> AsyncIterator[None]:
    """
    Bound the time that the body waits for Redis, and give all of its absences one name.

    Raises:
        Unavailable: Instead of every error that another try, later, can cure.
    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as error:
        raise Unavailable(f"no answer from Redis within {limit_s:g} s") from error
    except redis.exceptions.RedisError as error:
        if not is_away(error):
            raise
        advice = NO_MORE_IDS if is_exhausted(error) else UNKNOWN
        raise Unavailable(f"{type(error).__name__}: {error}", advice=advice) from error


async def takes_commands(client: "redis.asyncio.Redis") -> bool:
    """
    Ask Redis to take an entry without giving it one: a PING is answered also by one that is full.

    ``XADD ... NOMKSTREAM`` on a key that is not there goes through every check that stands before
    a command, leaves nothing behind, and is not written to the append-only file.

    Returns:
        Whether a dispatcher is at work.

    Raises:
        redis.exceptions.RedisError: It would not take a command; or the stream takes no more.

    Source: https://redis.io/docs/latest/commands/xadd/
    """
    pipeline = client.pipeline(transaction=False)
    pipeline.xadd(keys.NOWHERE, {"type": "ready"}, nomkstream=True)
    pipeline.xinfo_stream(keys.COMMANDS)
    pipeline.exists(keys.LEASE)
    refused, stream, lease = await pipeline.execute(raise_on_error=False)
    if isinstance(refused, Exception):
        raise refused
    if isinstance(stream, dict) and stream["last-generated-id"] == GREATEST_ID.encode():
        raise redis.exceptions.ResponseError(f"{keys.COMMANDS} has {EXHAUSTED}")
    return bool(lease)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A command on its way, and who waits for what Redis answers."""

    command: Command
    answer: "asyncio.Future[Any]"
    key: Key | None = None

    def write(self, pipeline: "redis.asyncio.client.Pipeline") -> None:
        """Add what brings it onto the stream."""
        fields = encode(self.command)
        if self.key is None:
            pipeline.xadd(keys.COMMANDS, dict(fields.items()))
            return
        flat = [text for pair in fields.items() for text in pair]
        named = (keys.COMMANDS, keys.once(str(self.key.uuid)))
        pipeline.eval(_ONCE, 2, *named, fingerprint(self.command), str(KEPT_S), *flat)


class Producer:
    """
    XADD for many at once, without waiting for company.

    The first command goes at once; what arrives while a pipeline is under way goes with the next.
    """

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self._redis = client
        self._waiting: list[_Waiting] = []
        self._pump: asyncio.Task[None] | None = None

    async def send(self, command: Command) -> str:
        """
        Put a command on the stream.

        A caller that is cancelled, or gives up, takes its command back if it has not left yet.

        Returns:
            The entry id. Redis has the entry.

        Raises:
            Unavailable: Within `ANSWER_LIMIT_S`; Redis may have the entry or not.
        """
        entry: bytes = await self._send_soon(command)
        return entry.decode()

    async def send_once(self, command: Command, key: Key) -> tuple[str, bool]:
        """
        Put a command on the stream unless one was, under the same key, at whichever gateway.

        Redis looks and adds in one step: there is no moment in which a key is half used.

        Returns:
            The id of the entry that Redis has, and whether this call has put it there.

        Raises:
            KeyReused: The key stands for a command that asks for something else.
            Unavailable: As for `send`. Send it again: it will not be there twice.
        """
        made, is_first = await self._send_soon(command, key)
        asked_for, _, entry = made.decode().partition(" ")
        if asked_for != fingerprint(command):
            raise KeyReused
        return entry, bool(is_first)

    async def _send_soon(self, command: Command, key: Key | None = None) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(command, answer, key))
        if self._pump is None or self._pump.done():
            # Not in the context of the request that starts it: lines about Redis are nobody's.
            nobodys = contextvars.Context()
            self._pump = asyncio.create_task(self._send_all(), context=nobodys)
        async with answering():
            return await answer

    async def aclose(self) -> None:
        """Let what is under way arrive or fail."""
        if self._pump is not None:
            await self._pump

    async def _send_all(self) -> None:
        while self._waiting:
            batch = [one for one in self._waiting[:MAX_BATCH] if not one.answer.done()]
            del self._waiting[:MAX_BATCH]
            _settle(batch, await self._send(batch))

    async def _send(self, batch: list[_Waiting]) -> list[Any]:
        """Return one answer per command: what Redis said, or what went wrong with it alone."""
        pipeline = self._redis.pipeline(transaction=False)
        try:
            for one in batch:
                one.write(pipeline)
            async with answering():
                answers = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # whatever it is, each of those who wait raises it
            answers = [error] * len(batch)
        for answer in answers[:1]:
            _note(answer)
        return answers


def _note(answer: object) -> None:
    """Say once that Redis, or the stream, takes nothing, and once that it does again."""
    if isinstance(answer, Exception) and is_exhausted(answer):
        outage.STREAM.went_on(answer)
    elif isinstance(answer, Unavailable) or (isinstance(answer, Exception) and is_away(answer)):
        outage.REDIS.went_on(answer)
    elif not isinstance(answer, Exception):
        outage.STREAM.ended()
        outage.REDIS.ended()


def _settle(batch: list[_Waiting], answers: list[Any]) -> None:
    for one, answer in zip(batch, answers, strict=True):
        if one.answer.done():  # nobody waits any more
            continue
        if isinstance(answer, Exception):
            one.answer.set_exception(answer)
        else:
            one.answer.set_result(answer)
