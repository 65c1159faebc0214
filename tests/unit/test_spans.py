"""The line at the end of a Celery task."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, Task
from celery.exceptions import Retry
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.testing import capture_logs

import tasks.spans  # noqa: F401 - has the receivers
from ops.events import Event

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    """What is said meanwhile, with what is bound to it."""
    with capture_logs(processors=[merge_contextvars]) as lines:
        yield lines


@pytest.fixture
def task() -> Task:
    """A task that ends as it is told."""

    def act(how: type[Exception] | None) -> None:
        if how:
            raise how

    app = Celery("test", set_as_current=False)
    return app.task(name="test.act", shared=False)(act)  # else every app gets it, the product's too


@pytest.mark.parametrize(
    ("how", "state"), [(None, "SUCCESS"), (ValueError, "FAILURE"), (Retry, "RETRY")]
)
def test_line_at_the_end(
    task: Task, lines: list[Any], how: type[Exception] | None, state: str
) -> None:
    """However a task ends, one line names it and how long it took; nothing stays bound."""
    task.apply((how,), task_id="t-1")

    [line] = [line for line in lines if line["event"] == Event.TASK_ENDED]
    assert ("t-1", "test.act", state) == (line["task_id"], line["task"], line["state"])
    assert line["took_ms"] in range(60_000)
    assert "trace_id" not in line
    assert {} == get_contextvars()


def test_trace_of_the_message(task: Task, lines: list[Any]) -> None:
    """A task whose message came with a trace says which."""
    task.apply((None,), headers={"traceparent": TRACEPARENT})

    [line] = lines
    assert TRACEPARENT.split("-")[1] == line["trace_id"]
