"""Report: the lines that work on an exam writes about its commands."""

from collections.abc import Iterable

import structlog

from filestore.exam import Exam, Transition, Verdict
from filestore.fact import Fact
from ops.events import Event
from ops.portions import portions
from tasks.deadlines import split
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
    running, decided = split(exams)
    for some in portions(running, PER_LINE):
        log.info(Event.DEADLINE_SET, pks=[exam.pk for exam in some])
    for some in portions(decided, PER_LINE):
        log.info(Event.DEADLINE_DELETED, pks=[exam.pk for exam in some])


def ids(pk: str, fact: Fact, post: Post) -> dict[str, str]:
    """Name a command by all that it is known by elsewhere."""
    return {
        "pk": pk,
        "command_id": fact.command,
        "entry": fact.entry,
        "type": fact.type,
        "trace_id": post.traces[fact.entry].trace_id,
    }
