"""What is wrong about a line."""

from typing import Any

import pytest

from ops.grammar import check

COMMON = {
    "ts": "2026-11-23T08:00:00.123Z",
    "part": "dispatcher",
    "pid": 7,
    "level": "info",
    "chain": "0123456789abcdef",
    "seq": 1,
    "prev": "0" * 32,
}
FIRED = {"pk": "math-7", "entry": "1-0", "deadline_ms": 1, "late_ms": 4}


def line(event: object, **keys: object) -> dict[str, Any]:
    """A line as the log writes it."""
    return {**COMMON, "event": event, **keys}


@pytest.mark.parametrize(
    "right",
    [
        line("deadline_fired", **FIRED),
        line("deadline_fired", **FIRED, trace_id="0" * 32),
        line("part_stopped"),
        line("available", what="redis", failures=3, task_id="t", task="tasks.exam"),
        line("Task of kind 'x' is not registered", logger="celery", data="any"),
    ],
)
def test_right(right: dict[str, Any]) -> None:
    """Of what all lines and the event's own have, and the context binds, nothing is wrong."""
    assert [] == check(right)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({**line("part_stopped"), "extra": None}, ["part_stopped must not have extra"]),
        (line("part_stopped", exception="?"), ["part_stopped must not have exception"]),
        ({k: v for k, v in line("part_stopped").items() if k != "seq"}, ["part_stopped lacks seq"]),
        (line("available", what="disk"), ["available lacks failures"]),
        (line("available", why="disk", failures=1), ["available lacks what", "must not have why"]),
        (line("hello"), ["'hello' is no event"]),
        (line(["hello"]), ["['hello'] is no event"]),
        (dict(COMMON), ["None is no event"]),
    ],
)
def test_wrong(wrong: dict[str, Any], said: list[str]) -> None:
    """What is missing, what is unknown, and a name that is not in the list are said."""
    found = check(wrong)

    assert len(said) == len(found)
    assert all(one.endswith(words) for one, words in zip(found, said, strict=True))
