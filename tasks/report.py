"""Report: the lines that work on an exam writes about its commands."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import structlog

from filestore.exam import Exam, Transition, Verdict
from filestore.fact import Fact, Type
from ops.events import Event
from ops.many import FEWEST, in_lines
from tasks.deadlines import split
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


def verdicts_together(outcomes: Mapping[str, Transition], posts: Mapping[str, Post]) -> None:
    """
    Write the lines about the commands of several exams.

    Where one command and no more was applied to an exam, and so to others of them, they share
    lines; nearly all of what comes together is so.
    """
    ordinary: dict[Type, list[str]] = defaultdict(list)
    for pk, outcome in outcomes.items():
        if kind := _applied_alone(outcome):
            ordinary[kind].append(pk)
        else:
            verdicts(pk, outcome, posts[pk])
    for kind, pks in ordinary.items():
        if len(pks) >= FEWEST:
            _applied(kind, {pk: outcomes[pk] for pk in pks}, posts)
        else:
            for pk in pks:
                verdicts(pk, outcomes[pk], posts[pk])


def _applied_alone(outcome: Transition) -> Type | None:
    """Name the type of the one command that was applied; None where there is more to say."""
    if outcome.known or outcome.waiting or len(outcome.new) != 1:
        return None
    [record] = outcome.new
    is_plain = record.verdict is Verdict.APPLIED and record.fact.source is None
    return record.fact.type if is_plain and outcome.exam and not record.reason else None


def _applied(kind: Type, outcomes: Mapping[str, Transition], posts: Mapping[str, Post]) -> None:
    facts = [outcome.new[0].fact for outcome in outcomes.values()]
    exams = [outcome.exam for outcome in outcomes.values() if outcome.exam]
    for pks, names, entries, traces, moments, values, ends in in_lines(
        [*outcomes],
        [fact.command for fact in facts],
        [fact.entry for fact in facts],
        [posts[pk].traces[fact.entry].trace_id for pk, fact in zip(outcomes, facts, strict=True)],
        [fact.at_ms for fact in facts],
        [fact.value for fact in facts],
        [exam.standing.deadline_ms for exam in exams],
    ):
        log.info(
            Event.BULK_APPLIED,
            type=kind,
            pks=pks,
            command_ids=names,
            entries=entries,
            trace_ids=traces,
            arrivals_ms=moments,
            values=values,
            deadlines_ms=ends,
        )


def deadlines(exams: Iterable[Exam]) -> None:
    """Say what became of the deadlines of exams that were moved: it is in the books now."""
    running, decided = split(exams)
    for [pks] in in_lines([exam.pk for exam in running]):
        log.info(Event.DEADLINE_SET, pks=pks)
    for [pks] in in_lines([exam.pk for exam in decided]):
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
