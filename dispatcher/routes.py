"""Routes: which Celery task and queue a command goes to. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from filestore.fact import Type
from ingest.commands import Command, Echo, ExamExpire, ExamFinish, ExamStart
from ops import keys
from ops.portions import portions
from tasks.app import ECHO_TASK, EXAM_TASK
from tasks.inbox import Letter

#: Exams that one bell names at most. A Celery message costs a millisecond, whatever it names.
MOST_PKS = 128
#: Over how many bells a few exams are spread, so that several worker processes share them.
SPREAD = 2


@dataclass(frozen=True, slots=True)
class Route:
    """Where a type of command goes."""

    task: str
    queue: str


#: The one table: type of command -> task and queue.
ROUTES = {
    "exam.start": Route(EXAM_TASK, keys.QUEUE_EXAM),
    "exam.finish": Route(EXAM_TASK, keys.QUEUE_EXAM),
    "exam.expire": Route(EXAM_TASK, keys.QUEUE_EXAM),
    "echo": Route(ECHO_TASK, keys.QUEUE_SLOW),
}


def letter(command: Command, *, entry: str, duration_s: int) -> Letter | None:
    """
    Write an exam's command as a letter for its inbox; None for a command of no exam.

    Args:
        duration_s: Seconds, for a start that names none.
    """
    match command.data:
        case ExamStart(pk=pk, duration=duration):
            kind, value = Type.START, duration_s if duration is None else duration
        case ExamFinish(pk=pk, status=status):
            return _letter(command, pk, entry, Type.FINISH, status)
        case ExamExpire(pk=pk, deadline=deadline):
            kind, value = Type.EXPIRE, deadline
        case Echo():
            return None
    return _letter(command, pk, entry, kind, value)


def bells(pks: Sequence[str]) -> list[Sequence[str]]:
    """
    Cut *pks* into bells: one exam each when there are few, up to `MOST_PKS` under backlog.

    Each exam is named once, in the order of its first command.
    """
    unique = list(dict.fromkeys(pks))
    size = min(MOST_PKS, max(1, ceil(len(unique) / SPREAD)))
    return [*portions(unique, size)]


def _letter(command: Command, pk: str, entry: str, kind: Type, value: int | str) -> Letter:
    return Letter(
        pk=pk,
        entry=entry,
        command=command.id or entry,
        source=command.source,
        type=kind,
        value=value,
        trace=command.trace,
    )
