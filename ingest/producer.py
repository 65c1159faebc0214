"""Producer: the gateway's way onto the stream. Commands of concurrent requests travel together."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeAlias

import redis.asyncio
import redis.exceptions

from ingest.alike import Alike
from ingest.answering import ANSWER_LIMIT_S, NO_ANSWER, Unavailable, absence, answering, fault
from ingest.batch import Answer, Taken, Waiting, runs, settle, write
from ingest.commands import Command
from ingest.once import Key, fingerprint
from ingest.several import Several
from ops import outage
from ops.connect import is_away, is_exhausted
from ops.trace import Trace

#: Ids of the entries that Redis has taken, and why it has not taken the rest, if there is one.
Added: TypeAlias = tuple[list[str], Exception | None]

#: Entries in one pipeline. More of them save nothing, and hold up those behind them.
MAX_BATCH = 1000
#: Pipelines under way at once, and scripts of bodies: while Redis has one, the next requests are
#: read and sent.
AT_ONCE = 2


class KeyReused(Exception):  # noqa: N818 - says what was done
    """A key that has been used for a command which asks for something else."""


class Producer:
    """
    XADD for many at once, without waiting for company.

    A command goes with all that this turn of the loop finds; what arrives while `AT_ONCE` pipelines
    are under way goes with the next. What is more than one holds goes one behind the other, so that
    the commands of one caller stay in their order.
    """

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self._redis = client
        self._waiting: list[Waiting] = []
        self._open: deque[Waiting] = deque()
        self._limit: asyncio.TimerHandle | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self._is_in_parts = False
        self._sending: set[asyncio.Task[Added]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def send(self, command: Command, *, taken: Taken | None = None) -> str:
        """
        Put a command on the stream.

        A caller that is cancelled, or gives up, takes its command back if it has not left yet.

        Args:
            taken: Called with the entry id before it is returned, one after the other with those
                of others: so the lines about all of them are written together.

        Returns:
            The entry id. Redis has the entry.

        Raises:
            Unavailable: Within `ANSWER_LIMIT_S`; Redis may have the entry or not.
        """
        entry: bytes = await self._answer(command, taken=taken)
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
        made, is_first = await self._answer(command, key)
        asked_for, _, entry = made.decode().partition(" ")
        if asked_for != fingerprint(command):
            raise KeyReused
        return entry, bool(is_first)

    async def send_many(self, commands: Iterable[Command]) -> list[str | Exception]:
        """
        Put commands on the stream in their order: up to `MAX_BATCH` of them in one round trip.

        Returns:
            Of each command its entry id, or what `send` would raise: one can be taken and its
            neighbour not.
        """
        several = Several()
        for command in commands:
            self._add(command, several.part())
        await several.wait(ANSWER_LIMIT_S)
        return [_fate(answer) for answer in several.answers()]

    def post_alike(self, alike: Alike, trace: Trace) -> "asyncio.Task[Added]":
        """
        Put commands that are alike on the stream, in their order, as far as Redis takes them.

        Returns:
            Of those that it has taken the entries' ids, and what `send` would raise for the rest.
        """
        # Not in the context of the request that starts it: lines about Redis are nobody's.
        sending = asyncio.create_task(self._add_alike(alike, trace), context=contextvars.Context())
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        return sending

    async def _add_alike(self, alike: Alike, trace: Trace) -> Added:
        error: Exception | None = None
        entries = b""
        try:
            async with answering(), self._room:
                entries, *errors = await self._redis.eval(*alike.steps(trace))
            error = next(iter(errors), None)
        except Exception as raised:  # whatever it is, each of those who wait gets it
            error = raised
        _note(error)
        return entries.decode().split(), error and fault(error)

    async def _answer(
        self, command: Command, key: Key | None = None, *, taken: Taken | None = None
    ) -> Any:
        try:
            return await self._put(command, key, taken)
        except redis.exceptions.RedisError as error:
            if not is_away(error):
                raise
            raise absence(error) from error

    def post(self, command: Command, answer: Answer, *, taken: Taken) -> None:
        """
        Do what `send` does, for who does not await: *answer* has the entry's id or an error.

        The error is Redis' own, or `Unavailable`; `ingest.answering.fault` gives it its name.
        """
        self._add(command, answer, taken=taken)

    def _put(
        self, command: Command, key: Key | None = None, taken: Taken | None = None
    ) -> "asyncio.Future[Any]":
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._add(command, answer, key=key, taken=taken)
        return answer

    def _add(
        self,
        command: Command,
        answer: Answer,
        *,
        key: Key | None = None,
        taken: Taken | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        one = Waiting(command, answer, loop.time() + ANSWER_LIMIT_S, key, taken)
        self._waiting.append(one)
        self._open.append(one)
        if self._limit is None:  # one timer for all: each would cost as much as the command
            self._limit = loop.call_at(one.until, self._give_up)
        if len(self._pumps) < AT_ONCE and not self._is_in_parts:
            # Not in the context of the request that starts it: lines about Redis are nobody's.
            nobodys = contextvars.Context()
            self._pumps.add(asyncio.create_task(self._send_all(), context=nobodys))

    async def aclose(self) -> None:
        """Let what is under way arrive or fail."""
        if under_way := (*self._pumps, *self._sending):
            await asyncio.wait(under_way)
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _give_up(self) -> None:
        """Tell those that Redis does not answer who have waited for long enough."""
        loop = asyncio.get_running_loop()
        while self._open and (self._open[0].answer.done() or self._open[0].until <= loop.time()):
            answer = self._open.popleft().answer
            if not answer.done():
                answer.set_exception(Unavailable(NO_ANSWER))
        first = self._open[0] if self._open else None
        self._limit = loop.call_at(first.until, self._give_up) if first else None

    async def _send_all(self) -> None:
        try:
            await self._send_waiting()
        finally:  # at once: a command that comes in the same turn must not count on this one
            if own := asyncio.current_task():
                self._pumps.discard(own)

    async def _send_waiting(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # who was just answered asks again: they shall go together
            if self._is_in_parts:
                return  # whoever sends the first part sends the rest behind it
            batch = [one for one in self._waiting[:MAX_BATCH] if not one.answer.done()]
            del self._waiting[:MAX_BATCH]
            has_more = self._is_in_parts = bool(self._waiting)
            try:
                answers = await self._send(batch)
            finally:
                if has_more:
                    self._is_in_parts = False
            settle(batch, answers)
            while self._open and self._open[0].answer.done():
                self._open.popleft()

    async def _send(self, batch: list[Waiting]) -> list[Any]:
        """Return one answer per command: what Redis said, or what went wrong with it alone."""
        pipeline = self._redis.pipeline(transaction=False)
        answers: list[Any] = []
        try:
            steps = runs(batch)
            for run in steps:
                write(run, pipeline)
            async with answering():
                said = await pipeline.execute(raise_on_error=False)
            for run, one in zip(steps, said, strict=True):
                answers += one if run[0].key is None and isinstance(one, list) else [one] * len(run)
        except Exception as error:  # whatever it is, each of those who wait raises it
            answers = [error] * len(batch)
        for answer in answers[:1]:
            _note(answer)
        return answers


def _fate(answer: bytes | Exception | None) -> str | Exception:
    """Say what became of a command that nobody waits for any more."""
    if answer is None:
        return Unavailable(NO_ANSWER)
    return fault(answer) if isinstance(answer, Exception) else answer.decode()


def _note(answer: object) -> None:
    """Say once that Redis, or the stream, takes nothing, and once that it does again."""
    if isinstance(answer, Exception) and is_exhausted(answer):
        outage.STREAM.went_on(answer)
    elif isinstance(answer, Unavailable) or (isinstance(answer, Exception) and is_away(answer)):
        outage.REDIS.went_on(answer)
    elif not isinstance(answer, Exception):
        outage.STREAM.ended()
        outage.REDIS.ended()
