"""Producer: the gateway's way onto the stream. Commands of concurrent requests travel together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import redis.asyncio
import redis.exceptions

from ingest.commands import Command, encode
from ops import keys
from ops.connect import is_away

#: Seconds that anyone waits for Redis before saying that it is away. A server that restarts needs
#: less; a person in front of a spinning page gives up a little later.
ANSWER_LIMIT_S = 3.0
#: Entries in one pipeline. More of them save nothing, and hold up those behind them.
MAX_BATCH = 1000


class Unavailable(Exception):  # noqa: N818 - says what Redis is
    """Redis is away, full or read-only. Whether it has the entry is not known: come again."""


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
        raise Unavailable(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Waiting:
    """The fields of an entry on its way, and who waits for its id."""

    fields: dict[str, str]
    entry: "asyncio.Future[str]"


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
        entry: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(encode(command), entry))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._send_all())
        async with answering():
            return await entry

    async def aclose(self) -> None:
        """Let what is under way arrive or fail."""
        if self._pump is not None:
            await self._pump

    async def _send_all(self) -> None:
        while self._waiting:
            batch = [one for one in self._waiting[:MAX_BATCH] if not one.entry.done()]
            del self._waiting[:MAX_BATCH]
            _settle(batch, await self._send(batch))

    async def _send(self, batch: list[_Waiting]) -> list[bytes | Exception]:
        """Return one answer per command: its entry id, or what went wrong with it alone."""
        pipeline = self._redis.pipeline(transaction=False)
        try:
            for one in batch:
                pipeline.xadd(keys.COMMANDS, dict(one.fields.items()))
            async with answering():
                return await pipeline.execute(raise_on_error=False)
        except Exception as error:  # whatever it is, each of those who wait raises it
            return [error] * len(batch)


def _settle(batch: list[_Waiting], answers: list[bytes | Exception]) -> None:
    for one, answer in zip(batch, answers, strict=True):
        if one.entry.done():  # nobody waits any more
            continue
        if isinstance(answer, Exception):
            one.entry.set_exception(answer)
        else:
            one.entry.set_result(answer.decode())
