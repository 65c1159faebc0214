"""Report: the lines that a dispatcher's turns write."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import monotonic

import structlog

from dispatcher.bell import Message
from dispatcher.promote import Fired
from ingest.commands import Command
from ops import trace
from ops.events import Event
from ops.journal import together
from ops.many import FEWEST, in_lines
from ops.trace import Trace

#: Seconds for which the queue must be full before the log says so: under load it is for moments.
PAUSED_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Read:
    """
    An entry with the command it holds.

    Attributes:
        step: The dispatcher's own of the command's trace, where it is recorded.
    """

    entry: str
    command: Command
    step: Trace | None = None

    @property
    def command_id(self) -> str:
        """The producer's own id, or the entry's."""
        return self.command.id or self.entry

    @property
    def pk(self) -> str | None:
        """The exam that it is for, if it is for one."""
        return getattr(self.command.data, "pk", None)

    @property
    def trace(self) -> Trace:
        """The producer's own trace, or the entry's; from the dispatcher's own step on, if any."""
        return self.step or self.command.trace or trace.derived(self.entry)


def dispatched(reads: Iterable[tuple[Read, bool]], tasks: Sequence[Message]) -> None:
    """
    Say of each command which task it was given to.

    Args:
        reads: Each with whether it was given to one before.
    """
    task_of_pk = {pk: task.task_id for task in tasks if task.args for pk in task.args[0]}
    task_of_echo = {task.kwargs["entry"]: task.task_id for task in tasks if task.kwargs}
    given: dict[tuple[str, str, bool], list[Read]] = defaultdict(list)
    for read, redelivered in reads:
        task_id = task_of_pk[read.pk] if read.pk else task_of_echo.get(read.entry)
        if task_id:  # else it is an echo for which there is no room yet
            given[task_id, read.command.type, redelivered].append(read)
    with together():
        for (task_id, _, redelivered), some in given.items():
            say = _dispatched_many if len(some) >= FEWEST else _dispatched_each
            say(some, task_id=task_id, redelivered=redelivered)


def _dispatched_each(reads: Iterable[Read], *, task_id: str, redelivered: bool) -> None:
    for read in reads:
        log.info(
            Event.DISPATCHED,
            entry=read.entry,
            command_id=read.command_id,
            type=read.command.type,
            pk=read.pk,
            task_id=task_id,
            redelivered=redelivered,
            trace_id=read.trace.trace_id,
        )


def _dispatched_many(reads: Sequence[Read], *, task_id: str, redelivered: bool) -> None:
    """Write few lines about commands of one type; only exams' are so many in one task."""
    for pks, names, entries, traces in in_lines(
        [read.pk for read in reads],
        [read.command_id for read in reads],
        [read.entry for read in reads],
        [read.trace.trace_id for read in reads],
    ):
        log.info(
            Event.BULK_DISPATCHED,
            type=reads[0].command.type,
            pks=pks,
            command_ids=names,
            entries=entries,
            trace_ids=traces,
            task_id=task_id,
            redelivered=redelivered,
        )


def deadlines_fired(fired: Sequence[Fired]) -> None:
    """Say which deadlines became commands."""
    with together():
        if len(fired) >= FEWEST:
            _fired_many(fired)
            return
        for one in fired:
            log.info(
                Event.DEADLINE_FIRED,
                pk=one.pk,
                entry=one.entry,
                deadline_ms=one.deadline_ms,
                late_ms=one.late_ms,
            )


def _fired_many(fired: Sequence[Fired]) -> None:
    for pks, entries, deadlines, lates in in_lines(
        [one.pk for one in fired],
        [one.entry for one in fired],
        [one.deadline_ms for one in fired],
        [one.late_ms for one in fired],
    ):
        log.info(
            Event.BULK_DEADLINE_FIRED,
            pks=pks,
            entries=entries,
            deadlines_ms=deadlines,
            lates_ms=lates,
        )


class Fullness:
    """Whether the exam queue is full, and has been for long enough to say so."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._is_said = False

    def note(self, *, is_full: bool) -> None:
        """Take what the last look saw; say once that reading pauses, and once that it goes on."""
        now = monotonic()
        self._since = (now if self._since is None else self._since) if is_full else None
        is_paused = self._since is not None and now - self._since >= PAUSED_S
        if is_paused != self._is_said:
            self._is_said = is_paused
            log.info(Event.READING_PAUSED if is_paused else Event.READING_RESUMED)
