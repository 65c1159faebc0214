"""Exam: the task behind a bell. Look into the inboxes of some exams and apply what waits."""

from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

import redis.exceptions
import structlog
from redis import Redis

from filestore.document import Damaged
from filestore.exam import transition
from filestore.fact import Fact, Type
from filestore.lock import LOCK_WAIT_S
from ops import keys, outage, tally
from ops.events import Event
from ops.lag import has_unread
from tasks import attempts, dead, inbox, report, world
from tasks.app import EXAM_TASK, app, redis_client, settings, store
from tasks.desk import Desk
from tasks.inbox import Post
from tasks.settlement import Applied, settle
from tasks.steps import applying, writing
from tasks.together import answer_together

#: What is counted of attempts that raised what nobody expected.
FAILURES = tally.field(tally.FAILURES, EXAM_TASK)

log = structlog.get_logger()


@app.task(name=EXAM_TASK)
def exam(pks: list[str]) -> None:
    """
    Apply the waiting commands of each exam in *pks*.

    One that fails does not hold up the others: its entries stay pending, and the dispatcher
    rings for it again.
    """
    desk = Desk(
        redis=redis_client(),
        store=store(),
        orphan_after_s=settings.orphan_after,
        most_attempts=settings.max_deliveries,
        task=exam.request.id,
    )
    until_s = monotonic() + LOCK_WAIT_S  # for all: a worker that stands still holds many locks
    for pk in _left(pks, desk):
        try:
            answer(pk, desk, wait_s=max(0.0, until_s - monotonic()))
        except Damaged as error:
            forgive(pk, desk)
            world.note_damage(desk.redis, pk, error)
        except Exception as error:
            if world.is_to_blame(error):
                world.say(pk, error)
                forgive(pk, desk)
            else:
                log.exception(Event.FAILED, pk=pk)
                tally.note(desk.redis, FAILURES)


def _left(pks: Sequence[str], desk: Desk) -> Sequence[str]:
    """Answer many bells together, and say which exams are to be looked at alone."""
    if len(pks) == 1:
        return pks
    try:
        return answer_together(pks, desk)
    except Exception as error:  # one of them, or the world: each alone tells which
        log.info(Event.ONE_BY_ONE, exams=len(pks), error=f"{type(error).__name__}: {error!s:.200}")
        return pks


def forgive(pk: str, desk: Desk) -> None:
    """Forget an attempt that was not the commands' fault, if Redis can be told."""
    with suppress(redis.exceptions.RedisError):
        attempts.end(desk.redis, pk)


def answer(pk: str, desk: Desk, *, wait_s: float = LOCK_WAIT_S) -> None:
    """
    Answer the bell of one exam: look into its inbox, and apply what waits.

    Under the exam's lock from the first look to the last word. Killed anywhere, it is simply
    done again: what is on disk is recognised by its entry id. When that has come to nothing
    before, each command is tried alone, so that one that fails is not in the others' way.

    Args:
        wait_s: Seconds to wait for the lock.
    """
    with desk.store.lock(pk, wait_s=wait_s):
        post = inbox.read(desk.redis, pk)  # it writes: how often that was begun
        outage.REDIS.ended()
        drop_foreign(desk.redis, pk, post.foreign)
        if not post.facts:
            attempts.end(desk.redis, pk)
        elif post.attempt <= attempts.TOGETHER:
            apply(pk, desk, post.facts, post=post, is_all=True)
        elif apply_each(pk, desk, post):
            attempts.end(desk.redis, pk)


def apply(pk: str, desk: Desk, facts: Sequence[Fact], *, post: Post, is_all: bool) -> None:
    """
    Judge *facts*, bring them to the disk, report, settle. Call under the exam's lock.

    Args:
        post: What the inbox held, *facts* among it.
        is_all: Whether these are all that waits for this exam.
    """
    with applying(pk, facts, post) as own:
        outcome = transition(pk, desk.store.load(pk), facts, task=desk.task)
        if outcome.exam and outcome.new:
            with writing(pk, own):
                desk.store.save(outcome.exam)
            world.note_disk(desk.redis)
        elif outcome.exam:
            desk.store.sync(pk)  # whoever wrote it may have been killed before it was safe
        report.verdicts(pk, outcome, post)
        if outcome.exam:
            settle(desk.redis, [Applied.of(outcome.exam, outcome, post, is_all=is_all)])
            return
        bury_orphans(pk, desk, outcome.waiting, post=post)
        if is_all:
            attempts.end(desk.redis, pk)


def apply_each(pk: str, desk: Desk, post: Post) -> bool:
    """
    Try each fact of *post* alone, starts before the rest, each in the order of arrival.

    An expiry waits while a command before it has failed and is tried again: that one may be a
    result that was in time.

    Returns:
        Whether all of them have come to an end.
    """
    is_done = True
    for fact in sorted(post.facts, key=lambda fact: fact.turn):
        if is_done or fact.type is not Type.EXPIRE:
            is_done &= apply_alone(pk, desk, fact, post=post)
    return is_done


def apply_alone(pk: str, desk: Desk, fact: Fact, *, post: Post) -> bool:
    """
    Apply one command that may be the one that fails, or bury it when it has too often.

    Returns:
        Whether that is the end of it.
    """
    count = attempts.begin_alone(desk.redis, pk, fact.entry) + attempts.TOGETHER
    if count > desk.most_attempts:
        error = attempts.error_of(desk.redis, pk, fact.entry)
        reason = f"failed {desk.most_attempts} times: {error or 'it ended the worker'}"
        if dead.bury(desk.redis, entry=fact.entry, reason=reason, pk=pk, error=error):
            log.error(Event.BURIED, **report.ids(pk, fact, post), reason=reason)
        return True
    try:
        apply(pk, desk, [fact], post=post, is_all=False)
    except Damaged:
        raise
    except Exception as error:
        if world.is_to_blame(error):
            raise
        log.exception(Event.FAILED, **report.ids(pk, fact, post), attempt=count)
        tally.note(desk.redis, FAILURES)
        attempts.note_error(desk.redis, pk, fact.entry, error)
        return False
    attempts.end_alone(desk.redis, pk, fact.entry)
    return True


def bury_orphans(pk: str, desk: Desk, waiting: Sequence[Fact], *, post: Post) -> None:
    """Set aside what has waited too long for its exam's start, unless the start is on its way."""
    oldest_ms = post.now_ms - desk.orphan_after_s * 1000
    aged = [fact for fact in waiting if fact.at_ms <= oldest_ms]
    if not aged or not _nothing_is_on_its_way(desk.redis):
        return
    for fact in aged:
        what = "result" if fact.type is Type.FINISH else "expiry"
        reason = f"{what} without start: exam {pk} was not started within the time allowed"
        if dead.bury(desk.redis, entry=fact.entry, reason=reason, pk=pk):
            log.warning(Event.BURIED, **report.ids(pk, fact, post), reason=reason)


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
