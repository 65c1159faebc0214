"""Upload: one body of many commands on its way, and what is answered to each of its lines."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import structlog
from aiohttp import web

from ingest import ids, lines
from ingest.alike import Alike, read
from ingest.commands import Command
from ingest.faults import InvalidCommand
from ingest.lines import Chunk, Line, NotJson
from ingest.meter import METER
from ingest.problems import Name, Problem, of_faults, problem
from ingest.producer import Added, Producer
from ingest.refusals import tell, to_problem
from ingest.replies import Replies, Said
from ingest.traces import TRACE
from ops.events import Event
from ops.journal import together

T = TypeVar("T")

#: Lines that are worked on before another request has its turn.
BREATH = 20
#: Turns of the loop in which redis-py finds a connection, sees that it is well, and writes to it.
TURNS = 5
#: Seconds after Redis' answer in which the log tells of commands that are alike, at the latest; who
#: sends more at once is told of a moment sooner, behind the next ones.
NOTE_S = 0.01

log = structlog.get_logger()


@dataclass(slots=True)
class _Sent:
    """
    Commands that are alike and on their way, the first of which stands in line *number*.

    Attributes:
        adding: Gives the entries of those that Redis has taken, and why it has not taken the rest.
        is_noted: Whether the log tells of them.
    """

    number: int
    alike: Alike
    adding: "asyncio.Task[Added]"
    is_noted: bool = False


class Upload:
    """
    The lines of one request: read, sent on in chunks, and answered in order.

    Once Redis has turned a chunk away, nothing more of the body is tried: no command is taken
    behind one that was not, and a client can resume from there.

    Attributes:
        taken: How many commands Redis has of it.
        refused: How many lines were answered with a problem.
        first_refusal: The first of these in words, or None.
    """

    def __init__(self, request: web.Request, producer: Producer, replies: Replies) -> None:
        self.taken = 0
        self.refused = 0
        self.first_refusal: str | None = None
        self._request = request
        self._meter = request.app[METER]
        self._producer = producer
        self._replies = replies
        self._stopped: Problem | None = None
        self._sent: _Sent | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no line has been answered yet."""
        return not self.taken and not self.refused

    async def take(self, chunk: Chunk) -> None:
        """
        Send on what the lines ask for, and write down an answer to each.

        While Redis has commands that are alike, the next ones are read, and those before them
        written about; so `settle` has to come in the end.

        Raises:
            Exception: What Redis said, when it has taken nothing at all of this body: then the
                request as a whole has failed, and nothing has to be told line by line.
        """
        alike = read(chunk.texts)
        before = await self._arrived()
        if alike is None or self._stopped:
            self._answer(before)
            await self._take_with_care(chunk.lines())
            return
        adding = self._producer.post_alike(alike, self._request[TRACE])
        self._sent = sent = _Sent(chunk.number, alike, adding)
        adding.add_done_callback(lambda _: self._note_soon(sent))
        for _ in range(TURNS):  # Redis shall have them before we write about those before
            await asyncio.sleep(0)
        self._answer(before)

    async def settle(self) -> None:
        """
        Write down the answers to what is under way, as soon as they are known.

        Raises:
            Exception: As for `take`.
        """
        self._answer(await self._arrived())

    async def give_up(self) -> None:
        """Write the log lines about what is under way, also where nobody is answered any more."""
        if self._sent:
            await asyncio.shield(self._sent.adding)
            self._note(self._sent)

    async def _arrived(self) -> _Sent | None:
        """Wait for what Redis says of the commands that are under way, if any are."""
        sent = self._sent
        if sent is None:
            return None
        entries, error = await asyncio.shield(sent.adding)  # whoever is cancelled here gives up
        self._sent = None
        if error:
            if not (self.taken or entries):
                raise error
            self._stop(error)
        return sent

    def _note_soon(self, sent: _Sent) -> None:
        """Have the log tell of what Redis has, unless that is done when there is an answer."""
        asyncio.get_running_loop().call_later(NOTE_S, self._note, sent)

    def _note(self, sent: _Sent) -> None:
        if not sent.is_noted:
            sent.is_noted = True
            entries, _ = sent.adding.result()
            self.taken += len(entries)
            self._meter.accept(sent.alike.type, count=len(entries))
            sent.alike.tell(entries)

    def _answer(self, sent: _Sent | None) -> None:
        """Write down the answers to commands that are alike, once the log tells of them."""
        if sent is None:
            return
        self._note(sent)
        entries, error = sent.adding.result()
        self._replies.keep(sent.alike.answers(entries, number=sent.number))
        if error:
            said = self._problem(error)
            numbers = range(sent.number, sent.number + len(sent.alike.pks))
            self._replies.add([self._refused(one, said) for one in numbers[len(entries) :]])

    async def _take_with_care(self, chunk: Sequence[Line]) -> None:
        seen: list[tuple[int, Command | Problem]] = []
        async for lines_now in _breathing(chunk):
            seen += [(line.number, self._read(line)) for line in lines_now]
        fates = iter(await self._send([one for _, one in seen if isinstance(one, Command)]))
        said: list[Said] = []
        async for seen_now in _breathing(seen):
            with together():
                for number, one in seen_now:
                    fate = one if isinstance(one, Problem) else next(fates)
                    if isinstance(fate, Problem):
                        said.append(self._refused(number, fate))
                    elif isinstance(one, Command):
                        said.append(self._accepted(number, one, fate))
        self._replies.add(said)  # all at once, after the lines of the log: there may be no room

    def refuse(self, number: int, problem: Problem) -> None:
        """Answer a line with a problem."""
        self._replies.add([self._refused(number, problem)])

    def sum_up(self) -> None:
        """Write the line about the body, however it ended, unless nothing came of it at all."""
        if not self.is_empty:
            counts = {"taken": self.taken, "refused": self.refused}
            log.info(Event.BULK_READ, **counts, detail=self.first_refusal)

    def _refused(self, number: int, problem: Problem) -> Said:
        self.refused += 1
        self._meter.refuse_line(problem)
        self.first_refusal = self.first_refusal or f"line {number}: {problem.detail}"
        return {"line": number, "problem": problem.document()}

    def _accepted(self, number: int, command: Command, entry: str) -> Said:
        self.taken += 1
        pk = getattr(command.data, "pk", None)
        exam = {"pk": pk} if pk else {}
        traced = {"trace_id": command.trace.trace_id} if command.trace else {}
        about = {"command_id": command.id, "type": command.type, **exam, **traced}
        log.info(Event.ACCEPTED, entry=entry, **about)
        self._meter.accept(command.type)
        return {"line": number, "command_id": command.id, "entry": entry, **exam}

    def _read(self, line: Line) -> Command | Problem:
        if line.text is None:
            return problem(Name.TOO_LARGE, f"the line has more than {lines.MAX_LINE_BYTES} bytes")
        try:
            command = lines.read(line.text)
        except NotJson as error:
            return of_faults(Name.NOT_JSON, error.faults)
        except InvalidCommand as error:
            return of_faults(Name.INVALID_COMMAND, error.faults)
        made = ids.command_id(ids.new_uuid(), pk=getattr(command.data, "pk", None))
        return replace(
            command,
            id=command.id or made,
            trace=command.trace or self._request[TRACE],
        )

    async def _send(self, commands: Sequence[Command]) -> list[str | Problem]:
        """Give the entry of each, or why there is none."""
        if self._stopped:
            return [self._stopped] * len(commands)
        fates = await self._producer.send_many(commands)
        errors = [fate for fate in fates if isinstance(fate, Exception)]
        if errors:
            if not self.taken and len(errors) == len(fates):
                raise errors[0]
            self._stop(errors[0])
        return [self._problem(fate) if isinstance(fate, Exception) else fate for fate in fates]

    def _stop(self, error: Exception) -> None:
        advice = "the command was not taken, since one before it was not; send it again"
        self._stopped = problem(Name.UNAVAILABLE, advice)
        tell(self._problem(error), error, self._request)

    def _problem(self, error: Exception) -> Problem:
        return to_problem(error, where=f"{self._request.method} {self._request.path}")


async def _breathing(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Give some at a time, and let other requests in between: a chunk takes 20 ms and more."""
    for at in range(0, len(items), BREATH):
        yield items[at : at + BREATH]
        await asyncio.sleep(0)
