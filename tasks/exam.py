"""Exam: the task behind a bell. Look into the inboxes of some exams and apply what waits."""

from collections.abc import Iterable, Sequence

import structlog
from redis import Redis

from filestore.document import Damaged
from filestore.exam import Exam, Record, Transition, Verdict, transition
from filestore.fact import Fact, Status, Type
from filestore.store import Locked, Store
from ops import keys
from ops.connect import UNAVAILABLE
from ops.events import Event
from ops.lag import has_unread
from tasks import dead, deadlines, inbox
from tasks.app import EXAM_TASK, app, redis_client, settings, store
from tasks.changes import changes, event_fields

#: Entries that the stream of events keeps, about: a few minutes at full speed.
EVENTS_KEPT = 100_000
#: Which line each verdict writes.
VERDICT_EVENTS = {
    Verdict.APPLIED: Event.APPLIED,
    Verdict.DUPLICATE: Event.DUPLICATE,
    Verdict.REFUSED: Event.REFUSED,
    Verdict.CORRECTED: Event.CORRECTED,
}

log = structlog.get_logger()


@app.task(name=EXAM_TASK)
def exam(pks: list[str]) -> None:
    """
    Apply the waiting commands of each exam in *pks*.

    One that fails does not hold up the others: its entries stay pending, and the dispatcher
    rings for it again.
    """
    for pk in pks:
        try:
            answer(pk, redis=redis_client(), store=store(), orphan_after_s=settings.orphan_after)
        except (*UNAVAILABLE, OSError, Locked) as error:
            log.warning(Event.UNAVAILABLE, pk=pk, error=str(error))
        except Damaged as error:
            log.error(Event.EXAM_DAMAGED, pk=pk, error=str(error))  # noqa: TRY400 - no bug of ours
        except Exception:
            log.exception(Event.FAILED, pk=pk)


def answer(pk: str, *, redis: Redis, store: Store, orphan_after_s: int) -> None:
    """
    Answer the bell of one exam: read its inbox, judge, write, report, settle.

    Under the exam's lock from the first look to the last word. Killed anywhere, it is simply
    done again: what is on disk is recognised by its entry id.
    """
    with store.lock(pk):
        post = inbox.read(redis, pk)
        if not (post.facts or post.foreign):
            return
        outcome = transition(pk, store.load(pk), post.facts)
        if outcome.exam and outcome.new:
            store.save(outcome.exam)
        elif outcome.exam:
            store.sync(pk)  # whoever wrote it may have been killed before it was safe
        report(pk, outcome)
        if outcome.exam:
            settle(redis, outcome.exam, records=(*outcome.known, *outcome.new))
        elif _nothing_is_on_its_way(redis):
            aged = [f for f in outcome.waiting if post.now_ms - f.at_ms >= orphan_after_s * 1000]
            bury_orphans(redis, pk, aged)
        drop_foreign(redis, pk, post.foreign)


def report(pk: str, outcome: Transition) -> None:
    """Write one line per command: what is on disk now, and why."""
    redelivered = set(outcome.known)
    for record in (*outcome.known, *outcome.new):
        log.info(
            VERDICT_EVENTS[record.verdict],
            **_ids(pk, record.fact),
            verdict=record.verdict,
            reason=record.reason,
            at_ms=record.fact.at_ms,
            value=record.fact.value,
            redelivered=record in redelivered,
        )
    for fact in outcome.waiting:
        log.info(Event.WAITING, **_ids(pk, fact))


def settle(redis: Redis, exam: Exam, *, records: Sequence[Record]) -> None:
    """
    Keep the books in one transaction.

    It is sent once: when its answer is lost nobody knows whether it was done. The next bell
    knows, by what the inbox still holds, and does it then.
    """
    entries = [record.fact.entry for record in records]
    moved = changes(exam, records)
    with redis.pipeline(transaction=True) as pipeline:
        deadlines.keep(pipeline, exam)
        for change in moved:
            fields = event_fields(change, exam)
            pipeline.xadd(keys.EVENTS, fields, maxlen=EVENTS_KEPT, approximate=True)  # type: ignore[arg-type]
            pipeline.hincrby(keys.COUNTS, change.status, 1)
        if entries:
            pipeline.hdel(keys.inbox(exam.pk), *entries)
            pipeline.xack(keys.COMMANDS, keys.GROUP, *entries)
        pipeline.execute()
    _report_deadline(exam, records)


def bury_orphans(redis: Redis, pk: str, orphans: Iterable[Fact]) -> None:
    """Set aside what has waited too long for its exam's start."""
    for fact in orphans:
        what = "result" if fact.type is Type.FINISH else "expiry"
        reason = f"{what} without start: exam {pk} was not started within the time allowed"
        if dead.bury(redis, entry=fact.entry, reason=reason, pk=pk):
            log.warning(Event.BURIED, **_ids(pk, fact), reason=reason)


def drop_foreign(redis: Redis, pk: str, foreign: Sequence[str]) -> None:
    """Remove what no dispatcher wrote into an inbox; it would ring for ever."""
    for name in foreign:
        redis.hdel(keys.inbox(pk), name.encode("utf-8", "surrogateescape"))
        log.warning(Event.FOREIGN_DROPPED, pk=pk, field=ascii(name)[:200])


def _nothing_is_on_its_way(redis: Redis) -> bool:
    """Whether every entry is in its inbox: the start, too, if there were one."""
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.xinfo_groups(keys.COMMANDS)
        pipeline.exists(keys.IN_HAND)
        groups, in_hand = pipeline.execute()
    return not (in_hand or has_unread(groups))


def _report_deadline(exam: Exam, records: Sequence[Record]) -> None:
    if not any(record.verdict in (Verdict.APPLIED, Verdict.CORRECTED) for record in records):
        return
    is_open = exam.standing.status is Status.STARTED
    event = Event.DEADLINE_SET if is_open else Event.DEADLINE_DELETED
    log.info(event, pk=exam.pk, deadline_ms=exam.standing.deadline_ms)


def _ids(pk: str, fact: Fact) -> dict[str, str]:
    return {"pk": pk, "command_id": fact.command, "entry": fact.entry, "type": fact.type}
