"""Report: the lines that work on an exam writes about its commands."""

from collections.abc import Iterable, Iterator, Sequence

import structlog

from filestore.exam import Exam, Transition, Verdict
from filestore.fact import Fact, Status
from ops.events import Event
from tasks.inbox import Post

#: Which line each verdict writes.
VERDICT_EVENTS = {
    Verdict.APPLIED: Event.APPLIED,
    Verdict.DUPLICATE: Event.DUPLICATE,
    Verdict.REFUSED: Event.REFUSED,
    Verdict.CORRECTED: Event.CORRECTED,
}

#: Exams to a line about many: with the longest names it is not too long to be read, or to be
#: written to a pipe in one piece.
PER_LINE = 40

log = structlog.get_logger()


def verdicts(pk: str, outcome: Transition, post: Post) -> None:
    """Write one line per command: what is on disk now, and why."""
    deadline_ms = outcome.exam.standing.deadline_ms if outcome.exam else None
    for is_known, records in ((True, outcome.known), (False, outcome.new)):
        for record in records:
            log.info(
                VERDICT_EVENTS[record.verdict],
                **ids(pk, record.fact, post),
                verdict=record.verdict,
                reason=record.reason,
                at_ms=record.fact.at_ms,
                value=record.fact.value,
                source=record.fact.source,
                deadline_ms=deadline_ms,
                redelivered=is_known,
            )
    for fact in outcome.waiting:
        log.info(Event.WAITING, **ids(pk, fact, post))


def deadlines(exams: Iterable[Exam]) -> None:
    """Say what became of the deadlines of exams that were moved: it is in the books now."""
    running: list[str] = []
    decided: list[str] = []
    for exam in exams:
        (running if exam.standing.status is Status.STARTED else decided).append(exam.pk)
    for pks in _portions(running):
        log.info(Event.DEADLINE_SET, pks=pks)
    for pks in _portions(decided):
        log.info(Event.DEADLINE_DELETED, pks=pks)


def ids(pk: str, fact: Fact, post: Post) -> dict[str, str]:
    """Name a command by all that it is known by elsewhere."""
    return {
        "pk": pk,
        "command_id": fact.command,
        "entry": fact.entry,
        "type": fact.type,
        "trace_id": post.traces[fact.entry].trace_id,
    }


def _portions(pks: Sequence[str]) -> Iterator[Sequence[str]]:
    return (pks[at : at + PER_LINE] for at in range(0, len(pks), PER_LINE))
