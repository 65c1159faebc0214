"""Together: the bells of many exams, answered in one go while nothing is out of the ordinary."""

from collections.abc import Mapping, Sequence

from filestore.exam import Transition, transition
from ops import outage
from ops.journal import together
from ops.trace import Trace
from tasks import attempts, inbox, report, world
from tasks.desk import Desk
from tasks.inbox import Post
from tasks.settlement import Applied, settle
from tasks.steps import applying_all, writing_all


def answer_together(pks: Sequence[str], desk: Desk) -> list[str]:
    """
    Apply what waits for several exams: one look into all inboxes, one visit to the disk, one
    transaction. For each exam it is what `tasks.exam.answer` does, in the same order.

    Killed anywhere, or after any error, it is simply done again, one exam after the other: what is
    on disk is recognised by its entry id.

    Returns:
        Those exams that have to be looked at alone: another worker has them, or work on them came
        to nothing before, or they have a letter that needs more thought.

    Raises:
        Exception: Whatever goes wrong with any of them.
    """
    with desk.store.lock_together(dict.fromkeys(pks)) as ours:
        posts = inbox.read_all(desk.redis, ours) if ours else {}
        outage.REDIS.ended()
        ordinary = {
            pk: post
            for pk, post in posts.items()
            if not post.foreign and post.attempt <= attempts.TOGETHER
        }
        if ended := [pk for pk, post in ordinary.items() if not post.facts]:
            attempts.end(desk.redis, *ended)
        done = _apply({pk: post for pk, post in ordinary.items() if post.facts}, desk)
    return [pk for pk in dict.fromkeys(pks) if pk not in done and pk not in ended]


def _apply(posts: Mapping[str, Post], desk: Desk) -> set[str]:
    """Judge, write, report, settle; say which exams that was for: those without a start wait."""
    with applying_all(posts) as traced:
        outcomes = {
            pk: outcome
            for pk, post in posts.items()
            if (outcome := transition(pk, desk.store.load(pk), post.facts, task=desk.task)).exam
        }
        _write(outcomes, traced, desk)
        with together():
            report.verdicts_together(outcomes, posts)
        applied = [
            Applied.of(outcome.exam, outcome, posts[pk], is_all=True)
            for pk, outcome in outcomes.items()
            if outcome.exam
        ]
        if applied:
            settle(desk.redis, applied)
    return set(outcomes)


def _write(
    outcomes: Mapping[str, Transition], traced: Mapping[str, Sequence[Trace]], desk: Desk
) -> None:
    """Bring what is new to the disk; make safe what somebody else may not have lived to."""
    new = {pk: outcome.exam for pk, outcome in outcomes.items() if outcome.exam and outcome.new}
    if new:
        with writing_all(new, traced):
            desk.store.save_all(list(new.values()))
        world.note_disk(desk.redis)
    for pk in outcomes.keys() - new.keys():
        desk.store.sync(pk)
