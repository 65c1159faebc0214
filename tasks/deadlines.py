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
    running, decided = split(exams)
    if running:
        pipeline.zadd(keys.DEADLINES, {exam.pk: exam.standing.deadline_ms for exam in running})
    if decided:
        pipeline.zrem(keys.DEADLINES, *(exam.pk for exam in decided))


def split(exams: Iterable[Exam]) -> tuple[list[Exam], list[Exam]]:
    """Part exams whose deadline runs from those that have none any more."""
    running: list[Exam] = []
    decided: list[Exam] = []
    for exam in exams:
        (running if exam.standing.status is Status.STARTED else decided).append(exam)
    return running, decided
