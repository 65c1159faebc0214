"""Lines about many commands are taken apart into what each of them says, and are never too long."""

import json
from select import PIPE_BUF
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support.strategies import PKS

from dispatcher import report
from dispatcher.bell import Message
from dispatcher.promote import Fired
from ingest.commands import Command, ExamStart
from ops.audit.wording import singles
from ops.events import Event
from ops.hygiene import render
from ops.many import FEWEST, LIST_CHARACTERS, LISTS, MANY, each_of, in_lines
from ops.trace import Trace
from ops.vocabulary import VOCABULARY

ODD = ["a", "b" * 200, "é" * 200, '"' * 200, "\\" * 200, "\U0001f600" * 200]
ROWS = st.lists(st.tuples(PKS, st.sampled_from(ODD), st.integers(0, 10**15)), min_size=1)


@given(ROWS, st.integers(1, 50))
def test_taken_apart(rows: list[tuple[str, str, int]], times: int) -> None:
    """Whatever stands in the lists, and however long it is, each has its own, in its order."""
    rows *= times
    lines = [*in_lines(*zip(*rows, strict=True))]

    keys = ("pks", "command_ids", "values")
    taken = [one for lists in lines for one in each_of(dict(zip(keys, lists, strict=True)))]
    assert [tuple(one.values()) for one in taken] == rows
    assert {tuple(one) for one in taken} == {("pk", "command_id", "value")}
    for lists in lines:
        assert len(lists[0]) == 1 or len(json.dumps(lists)) <= LIST_CHARACTERS + 10


def test_nothing() -> None:
    """Of nothing there is no line."""
    assert not [*in_lines([], [])]
    assert not [*each_of({}), *each_of({"pks": []}), *each_of({"pks": [], "entries": []})]


@pytest.mark.parametrize(
    "lists",
    [
        {"entries": ["1-0"]},
        {"pks": "ab", "entries": ["1-0", "2-0"]},
        {"pks": ["a", "b"], "entries": 7},
        {"pks": ["a", "b"], "entries": {"a": 1, "b": 2}},
        {"pks": ["a", "b", "c"], "entries": ["1-0", "2-0"]},
        {"pks": ["a"], "entries": ["1-0", "2-0"]},
    ],
)
def test_none_of_ours(lists: dict[str, object]) -> None:
    """Of lists that do not fit nothing is believed."""
    assert not [*each_of(lists)]


def fired(count: int) -> list[Fired]:
    """Deadlines of exams with the longest names there are."""
    return [
        Fired(pk=f"{at:064}", deadline_ms=10**12 + at, entry=f"{10**12 + at}-{at}", late_ms=at)
        for at in range(count)
    ]


def reads(count: int) -> list[report.Read]:
    """Commands of such exams, under long and odd ids and with traces of their own."""
    return [
        report.Read(
            f"{10**12}-{at}",
            Command(
                data=ExamStart(pk=f"{at:064}"),
                id=f"{at:0100}" + "é" * (at % 100),
                trace=Trace(trace_id=f"{at:032}", span_id="1" * 16),
            ),
        )
        for at in range(count)
    ]


@pytest.mark.parametrize("count", [1, FEWEST - 1, FEWEST, 300])
def test_dispatcher(count: int) -> None:
    """What the dispatcher says of many is what it says of each, and a pipe takes it as one."""
    told: dict[int, list[Any]] = {}
    for fewest in (1_000, FEWEST):
        with capture_logs() as told[fewest], pytest.MonkeyPatch.context() as patch:
            patch.setattr(report, "FEWEST", fewest)
            report.deadlines_fired(fired(count))
            task = Message(
                route=None,  # type: ignore[arg-type]
                task_id="t",
                trace=Trace(trace_id="0" * 32, span_id="1" * 16),
                args=([read.pk for read in reads(count)],),
            )
            report.dispatched([(read, False) for read in reads(count)], [task])
    each, shared = told.values()

    taken = [one for line in shared for one in singles(line)]
    assert [{"log_level": "info", **one} for one in taken] == each
    assert (len(shared) == len(each)) == (count < FEWEST)
    assert max(len(render(line)) for line in shared) < PIPE_BUF - 350


def test_of_a_pair() -> None:
    """A shared line requires what a line of its own does, under the keys of its lists."""
    for many, one in MANY.items():
        shared = {LISTS.get(key, key) for key in VOCABULARY[many].required}
        left_out = {
            Event.APPLIED: {"verdict", "reason", "source", "redelivered"},
            Event.ACCEPTED: {"trace_id"},  # of one body it is the same, and bound; else a list
        }
        alone = {*VOCABULARY[one].required} - left_out.get(one, set())
        assert shared - {"pk", "type"} == alone - {"pk", "type"}
