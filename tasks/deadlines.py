"""Deadlines: one sorted set says when each open exam becomes absent."""

from collections.abc import Iterable

from redis.client import Pipeline

from filestore.exam import Exam
from filestore.fact import Status
from ops import keys
from tasks.transaction import Transaction


def keep(pipeline: Pipeline | Transaction, exams: Iterable[Exam]) -> None:
    """
    Add to *pipeline* what each exam's state asks for: its deadline set, or really deleted.

    Computed from the state alone, so that a repeat is harmless.
    """
    by_state: dict[bool, list[Exam]] = {True: [], False: []}
    for exam in exams:
        by_state[exam.standing.status is Status.STARTED].append(exam)
    if running := by_state[True]:
        pipeline.zadd(keys.DEADLINES, {exam.pk: exam.standing.deadline_ms for exam in running})
    if decided := by_state[False]:
        pipeline.zrem(keys.DEADLINES, *(exam.pk for exam in decided))
