"""Rare but lawful histories: an audit finds nothing wrong with them."""

from pathlib import Path

import pytest
from support.log_maker import T0, LogMaker
from support.stories import Story, broken

from ops.audit import ledger

END = T0 + 120_000


def starts_too_late_for_an_orphan(log: LogMaker) -> None:
    """A result is set aside because its exam was not started; then it is, and nobody comes."""
    log.came_in("a", "exam.finish", T0 - 800_000)
    keys = {"entry": f"{T0 - 800_000}-0", "type": "exam.finish"}
    log.write(T0 - 400_000, "buried", pk="a", **keys, reason="result without start")
    log.exam("a")
    log.expiry("a", END)


def is_deleted_from_the_stream(log: LogMaker) -> None:
    """An accepted entry is deleted: the dispatcher buries it, and knows of no exam."""
    ids = {"entry": f"{T0}-0", "command_id": "c"}
    log.write(T0, "accepted", **ids, pk="a", type="exam.start")
    log.write(T0 + 10, "buried", entry=f"{T0}-0", reason="the entry was deleted from the stream")


def is_rebuilt(log: LogMaker) -> None:
    """A result that was in time waits before a damaged file, and stands in the one made anew."""
    log.exam("a")
    log.came_in("a", "exam.finish", END - 5)
    log.expiry("a", END)
    log.write(END + 1000, "exam_rebuilt", pk="a", status="pass")
    log.done("a", "exam.finish", END - 5, "pass", redelivered=True, now_ms=END + 2000)


def starts_earlier_than_known(log: LogMaker) -> None:
    """An earlier start is put back after the expiry: the exam is open again, and is passed."""
    log.came_in("a", "exam.start", T0 - 5)
    log.exam("a")
    log.expiry("a", END)
    log.done("a", "exam.start", T0 - 5, 300, verdict="corrected", now_ms=END + 9)
    log.result("a", END + 50)


def is_started_again_long_after(log: LogMaker) -> None:
    """A start is sent again when the audit has forgotten the exam."""
    log.exam("a")
    log.result("a", T0 + 10)
    for n in range(9):
        log.exam(f"x{n}", at_ms=T0 + 100 * n)
        log.result(f"x{n}", T0 + 100 * n + 50)
    log.came_in("a", "exam.start", T0 + 5_000)
    log.done("a", "exam.start", T0 + 5_000, 120, verdict="refused", reason="already started")


@pytest.mark.parametrize(
    "story",
    [
        starts_too_late_for_an_orphan,
        is_deleted_from_the_stream,
        is_rebuilt,
        starts_earlier_than_known,
        is_started_again_long_after,
    ],
)
def test_lawful(story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is broken, however little the audit remembers."""
    monkeypatch.setattr(ledger, "RECENT_EXAMS", 2)

    assert set() == broken(tmp_path, story)
