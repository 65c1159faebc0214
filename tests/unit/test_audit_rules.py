"""The audit's rules: each story that breaks one is named, and no other is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.log_maker import T0, LogMaker
from support.stories import Story, audit, broken

from filestore.exam import stand
from filestore.fact import Fact, Type
from ops.audit.exams import Record, outcome

END = T0 + 120_000


def passes(log: LogMaker) -> None:
    """A result in the deadline's very millisecond."""
    log.exam("a")
    log.result("a", END)


def stays_away(log: LogMaker) -> None:
    """Nobody hands in anything; a result comes too late."""
    log.exam("a")
    log.expiry("a", END)
    log.result("a", END + 500, verdict="refused", reason="late")


def is_corrected(log: LogMaker) -> None:
    """A result that was in time is applied after the expiry."""
    log.exam("a")
    log.came_in("a", "exam.finish", END - 5)
    log.expiry("a", END)
    log.done("a", "exam.finish", END - 5, "pass", verdict="corrected", now_ms=END + 90)


def comes_twice(log: LogMaker) -> None:
    """A command is sent twice, and one is delivered again after a crash."""
    log.exam("a")
    log.done("a", "exam.start", T0, 120, redelivered=True)
    log.result("a", T0 + 10)
    log.result("a", T0 + 20, verdict="duplicate")


def overtakes(log: LogMaker) -> None:
    """A result waits for its exam's start."""
    log.came_in("a", "exam.finish", T0 + 10)
    log.write(T0 + 12, "waiting", pk="a", entry=f"{T0 + 10}-0", type="exam.finish")
    log.exam("a", at_ms=T0)
    log.done("a", "exam.finish", T0 + 10, "pass")


def is_buried(log: LogMaker) -> None:
    """A result without a start is set aside; so is what is no command."""
    log.came_in("a", "exam.finish", T0)
    log.write(T0 + 400_000, "buried", pk="a", entry=f"{T0}-0", reason="result without start")
    log.write(T0 + 1, "buried", entry=f"{T0}-1", reason="not JSON")


def echoes(log: LogMaker) -> None:
    """An echo is taken, lost with its worker, given to another task, and printed."""
    ids = {"entry": f"{T0}-0", "command_id": "e"}
    log.write(T0, "accepted", **ids, type="echo")
    log.write(T0, "dispatched", **ids, type="echo", task_id="t1", redelivered=False)
    log.write(T0 + 1, "echo_started", **ids, task_id="t1")
    log.write(T0 + 9000, "dispatched", **ids, type="echo", task_id="t2", redelivered=True)
    log.write(T0 + 9500, "echo_printed", **ids, task_id="t2", text="hello")
    log.write(T0 + 9501, "task_ended", task_id="t2", took_ms=500, state="SUCCESS")


@pytest.mark.parametrize(
    "story", [passes, stays_away, is_corrected, comes_twice, overtakes, is_buried, echoes]
)
@pytest.mark.parametrize("is_bulk", [False, True])
def test_sound(story: Story, is_bulk: bool, tmp_path: Path) -> None:
    """What goes as it should breaks no rule, also where commands came in a body of many."""

    def told(log: LogMaker) -> None:
        log.is_bulk = is_bulk
        story(log)

    assert set() == broken(tmp_path, told)


def never_decided(log: LogMaker) -> None:
    """A result comes in, and nothing more is heard of it."""
    log.exam("a")
    log.came_in("a", "exam.finish", T0 + 10)
    log.result("a", T0 + 20)


def never_dispatched(log: LogMaker) -> None:
    """A start is accepted, and that is all."""
    log.write(T0, "accepted", pk="a", entry=f"{T0}-0", command_id="c", type="exam.start")


def many_never_dispatched(log: LogMaker) -> None:
    """Starts are accepted, in one line, and one of them goes on."""
    ids = {"pks": ["a", "b"], "entries": [f"{T0}-0", f"{T0}-1"], "command_ids": ["c", "d"]}
    log.write(T0, "bulk_accepted", **ids, type="exam.start")
    log.done("a", "exam.start", T0, 1_000_000)


def echo_never_printed(log: LogMaker) -> None:
    """An echo is accepted, and that is all."""
    log.write(T0, "accepted", entry=f"{T0}-0", command_id="c", type="echo")


def decided_twice(log: LogMaker) -> None:
    """Two results are applied."""
    log.exam("a")
    log.result("a", T0 + 10)
    log.result("a", T0 + 20)


def recorded_twice(log: LogMaker) -> None:
    """One entry is applied twice, as if it were new each time."""
    log.exam("a")
    log.result("a", T0 + 10)
    log.done("a", "exam.finish", T0 + 10, "pass")


def unseen_result(log: LogMaker) -> None:
    """An exam is absent, and a result that came in time was never looked at."""
    log.exam("a")
    log.came_in("a", "exam.finish", END - 5)
    log.expiry("a", END)


def refused_result(log: LogMaker) -> None:
    """An exam is absent, and a result that came in time was called late."""
    log.exam("a")
    log.result("a", END - 5, verdict="refused", reason="late")
    log.expiry("a", END)


def late_result(log: LogMaker) -> None:
    """A result that was late counts."""
    log.exam("a")
    log.result("a", END + 5)


def fires_early(log: LogMaker) -> None:
    """A deadline fires in its own millisecond, in which a result is still in time."""
    log.exam("a")
    log.expiry("a", END, late_ms=0)


def never_fires(log: LogMaker) -> None:
    """A deadline passes, and nothing happens."""
    log.exam("a")


def no_start(log: LogMaker) -> None:
    """A result is applied to an exam that nobody started."""
    log.result("a", T0 + 10)


def prints_twice(log: LogMaker) -> None:
    """An echo is printed twice."""
    echoes(log)
    log.write(T0 + 9600, "echo_printed", entry=f"{T0}-0", command_id="e", text="hello")


def mails_twice(log: LogMaker) -> None:
    """A slot's digest goes out twice."""
    for at_ms in (T0, T0 + 5):
        log.write(at_ms, "mail_sent", slot_s=300, summary="")


@pytest.mark.parametrize(
    ("story", "rules"),
    [
        (never_decided, {"never decided", "task never ended"}),
        (never_dispatched, {"never decided"}),
        (many_never_dispatched, {"never decided"}),
        (echo_never_printed, {"never decided"}),
        (decided_twice, {"decided twice"}),
        (recorded_twice, {"decided twice"}),
        (unseen_result, {"absent by mistake", "never decided", "task never ended"}),
        (refused_result, {"absent by mistake", "other verdict"}),
        (late_result, {"other verdict"}),
        (fires_early, {"fired early"}),
        (never_fires, {"never fired"}),
        (no_start, {"without start"}),
        (prints_twice, {"printed twice"}),
        (mails_twice, {"mailed twice"}),
    ],
)
def test_broken(story: Story, rules: set[str], tmp_path: Path) -> None:
    """What must not be is named by its rule; the chain is whole, so no rule about it is broken."""
    assert rules == broken(tmp_path, story)


@pytest.mark.parametrize("seconds", [1, 200])
def test_under_way(seconds: int, tmp_path: Path) -> None:
    """What came in just before the log ends is under way; a long time before, it is lost."""
    log = LogMaker(tmp_path / "log.jsonl")
    never_dispatched(log)
    log.close(T0 + seconds * 1000)

    findings = audit(tmp_path).findings
    assert ("under way" in findings.notes, findings.is_proven) == (seconds < 60, seconds < 60)


ATS = st.integers(T0, T0 + 4_000)
FACTS = st.lists(
    st.one_of(
        st.tuples(ATS, st.just(Type.START), st.integers(1, 3)),
        st.tuples(ATS, st.just(Type.FINISH), st.sampled_from(["pass", "fail"])),
        st.tuples(ATS, st.just(Type.EXPIRE), st.integers(T0 + 1000, T0 + 4000)),
    ),
    max_size=6,
)


@given(FACTS)
def test_outcome(drawn: list[tuple[int, Type, int | str]]) -> None:
    """The audit's own rules say of any commands what the product's say."""
    facts = [
        Fact(at_ms=at, entry=f"{at}-{n}", command=f"{n}", source=None, type=kind, value=value)
        for n, (at, kind, value) in enumerate(drawn)
    ]
    records = {
        fact.entry: Record(fact.type, fact.at_ms, fact.value, "applied", None, None, None)
        for fact in facts
    }

    standing, end = stand(facts), outcome(records)
    assert (standing is None) == (end is None)
    if standing and end:
        decided_by = standing.decided_by.entry if standing.decided_by else None
        assert (standing.status, standing.deadline_ms, decided_by) == (
            end.status,
            end.deadline_ms,
            end.decided_by,
        )
