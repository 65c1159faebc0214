"""What is counted in Redis: the names of its fields, and what is read out of them."""

from dataclasses import replace

import pytest

from filestore.exam import Record, transition
from filestore.fact import Fact, Type
from ingest.tallied import COUNTED, TIMED, tallied
from ops import tally
from tasks.changes import tallied as counted

START = Fact(at_ms=1_000, entry="1000-0", command="c", source=None, type=Type.START, value=1)
DEADLINE_MS = 2_000


def records(*facts: Fact) -> tuple[Record, ...]:
    """Apply a start and *facts*."""
    return transition("a", None, [START, *facts]).new


@pytest.mark.parametrize(
    ("ms", "bound"),
    [
        (-5, "0.025"),
        (0, "0.025"),
        (25, "0.025"),
        (26, "0.05"),
        (300_000, "300.0"),
        (300_001, "+Inf"),
    ],
)
def test_a_time_falls_into_one_bucket(ms: int, bound: str) -> None:
    """A bound belongs to its bucket, what is above all bounds is counted too, none is negative."""
    assert {f"latency:x:{bound}": 1, "latency:x:sum_ms": max(0, ms)} == tally.timed(
        tally.LATENCY, "x", ms=ms
    )


def test_records_are_counted_by_verdict() -> None:
    """Each record counts once; results take as long as since they came in."""
    result = replace(START, at_ms=1_500, entry="1500-0", type=Type.FINISH, value="pass")
    late = replace(result, at_ms=2_100, entry="2100-0", command="d")

    found = counted([(records(result, late), 2_200)])

    assert 1 == found["applied:exam.start:applied:"] == found["applied:exam.finish:applied:"]
    assert (
        1
        == found["applied:exam.finish:refused:already decided"]
        + found["applied:exam.finish:refused:late"]
    )
    assert 700 + 100 == found["latency:exam.finish:sum_ms"]
    assert not [name for name in found if name.startswith("lateness")]


def test_lateness_counts_from_the_deadline() -> None:
    """An expiry that makes an exam absent is as late as that; one that does not is not timed."""
    expiry = replace(START, at_ms=2_001, entry="2001-0", type=Type.EXPIRE, value=DEADLINE_MS)
    again = replace(expiry, entry="2001-1", command="e")

    found = counted([(records(expiry, again), 2_350)])

    assert (1, 350) == (found["lateness:0.5"], found["lateness:sum_ms"])
    assert 1 == found["applied:exam.expire:applied:"]
    assert 2 == sum(number for name, number in found.items() if name.startswith("applied:exam.ex"))


def test_strangers_are_left_out() -> None:
    """What stands in the hash and is none of ours makes no metric, and no error."""
    fields = {
        b"applied:exam.start:applied:": b"7",
        b"applied:exam.start": b"1",
        b"applied:exam.finish:applied:": b"many",
        b"\xff:x": b"1",
        b"latency:exam.start:0.05": b"3",
        b"latency:exam.start:2": b"9",
        b"latency:exam.start:sum_ms": b"120",
    }

    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for metric in tallied(fields)
        for sample in metric.samples
    }

    assert 7 == samples["invigil_commands_applied_total", "", "applied", "exam.start"]
    assert 0 == samples["invigil_commands_applied_total", "", "applied", "exam.finish"]
    assert 0 == samples["invigil_command_latency_seconds_bucket", "0.025", "exam.start"]
    assert 3 == samples["invigil_command_latency_seconds_bucket", "+Inf", "exam.start"]
    assert 0.12 == samples["invigil_command_latency_seconds_sum", "exam.start"]


def test_every_kind_is_a_metric() -> None:
    """Nothing is counted that nobody can see."""
    kinds = {
        value for name, value in vars(tally).items() if name.isupper() and isinstance(value, str)
    }

    assert kinds - {tally.ABOVE, tally.SUM_MS} == {*COUNTED, *TIMED}
