"""Report: the lines that work on an exam writes about its commands."""

from collections.abc import Sequence

import structlog

from filestore.exam import Exam, Record, Transition, Verdict
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

log = structlog.get_logger()


def verdicts(pk: str, outcome: Transition, post: Post) -> None:
    """Write one line per command: what is on disk now, and why."""
    redelivered = set(outcome.known)
    for record in (*outcome.known, *outcome.new):
        log.info(
            VERDICT_EVENTS[record.verdict],
            **ids(pk, record.fact, post),
            verdict=record.verdict,
            reason=record.reason,
            at_ms=record.fact.at_ms,
            value=record.fact.value,
            source=record.fact.source,
            redelivered=record in redelivered,
        )
    for fact in outcome.waiting:
        log.info(Event.WAITING, **ids(pk, fact, post))


def deadline(exam: Exam, records: Sequence[Record]) -> None:
    """Say what became of the deadline, if *records* moved the exam."""
    if not any(record.verdict in (Verdict.APPLIED, Verdict.CORRECTED) for record in records):
        return
    is_open = exam.standing.status is Status.STARTED
    event = Event.DEADLINE_SET if is_open else Event.DEADLINE_DELETED
    log.info(event, pk=exam.pk, deadline_ms=exam.standing.deadline_ms)


def ids(pk: str, fact: Fact, post: Post) -> dict[str, str]:
    """Name a command by all that it is known by elsewhere."""
    return {
        "pk": pk,
        "command_id": fact.command,
        "entry": fact.entry,
        "type": fact.type,
        "trace_id": post.traces[fact.entry].trace_id,
    }
