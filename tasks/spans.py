"""Spans: what is bound to the lines of a task while it runs, and the line at its end."""

from contextvars import ContextVar
from time import monotonic

import structlog
from celery import Task, signals, states

from ops import tally, trace
from ops.events import Event
from ops.trace import Trace
from tasks.app import redis_client

#: What is counted of a task, by the state in which it ends; what it did well counts itself.
_COUNTED = {states.FAILURE: tally.FAILURES, states.RETRY: tally.RETRIES}
#: When the task at hand began. Each green thread, and each process, has a context of its own.
_began: ContextVar[float] = ContextVar("began")

log = structlog.get_logger()


def trace_of(task: Task) -> Trace | None:
    """Read the trace that a task's message came with; one that beat sent, or a person, has none."""
    headers = task.request.headers or {}
    return trace.parse(str(headers.get(trace.NAME)))


@signals.task_prerun.connect
def _begin(task_id: str, task: Task, **_: object) -> None:
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)
    _began.set(monotonic())


@signals.task_postrun.connect
def _end(task: Task, state: str, **_: object) -> None:
    """Say it while the task's id is still bound, and only then forget it."""
    traced = trace_of(task)
    log.info(
        Event.TASK_ENDED,
        took_ms=round((monotonic() - _began.get()) * 1000),
        state=state,
        **({"trace_id": traced.trace_id} if traced else {}),
    )
    if kind := _COUNTED.get(state):
        tally.note(redis_client(), tally.field(kind, str(task.name)))
    structlog.contextvars.unbind_contextvars("task_id", "task")
