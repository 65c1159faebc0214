"""Deadlines: one sorted set says when each open exam becomes absent."""

from redis.client import Pipeline

from filestore.exam import Exam
from filestore.fact import Status
from ops import keys


def keep(pipeline: Pipeline, exam: Exam) -> None:
    """
    Add to *pipeline* what the exam's state asks for: its deadline set, or really deleted.

    Computed from the state alone, so that a repeat is harmless.
    """
    if exam.standing.status is Status.STARTED:
        pipeline.zadd(keys.DEADLINES, {exam.pk: exam.standing.deadline_ms})
    else:
        pipeline.zrem(keys.DEADLINES, exam.pk)
