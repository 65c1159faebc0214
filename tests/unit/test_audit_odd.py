"""Odd values in lines that are chained as they should be: an audit goes on, whatever it reads."""

import os
from pathlib import Path
from typing import Any

import pytest
from support.invigil import audit, invigil
from support.log_maker import T0, LogMaker

VALUES = ["x", None, float("nan"), float("inf"), 10**30, -(10**400), True, [1], "1" * 5000, 0.5]
ENTRIES = ["abc-def", "5", "", "-", "\u0663-\u0664", "1-2-3", "9" * 5000 + "-1", "-5-1"]
ENDS = [10**30, [[]], [{"chain": "a", "seq": True, "head": "x", "pid": [1]}], {"a": 1}]
CHAINS = [{"a": last} for last in (["x", 1], [None, "x"], [{}, "x"], [1, [2]], [1, 2], [1])]


def write_oddly(log: LogMaker) -> None:
    """Write lines that no part of the product writes, each with its place in the chain."""
    for n, value in enumerate(VALUES):
        odd: dict[str, Any] = {"pk": f"v{n}", "value": value, "deadline_ms": value}
        for kind in ("exam.start", "exam.expire", "exam.finish"):
            log.write(T0, "applied", **odd, entry=f"{T0}-{len(kind)}", type=kind, at_ms=T0)
        log.write(T0, "deadline_fired", **odd, entry=f"{T0}-9")
        log.write(T0, "mail_sent", slot_s=value)
        log.write(T0, "trimmed", at_ms=value, pid=value)
        lists = [
            {"pks": values, "command_ids": ["c"], "entries": ["1-0"]} for values in (value, [value])
        ]
        for one in lists:
            log.write(T0, "bulk_accepted", type="exam.start", **one)
    for n, entry in enumerate(ENTRIES):
        for kind in ("exam.start", "exam.finish"):
            log.write(T0, "applied", pk=f"e{n}", entry=entry, type=kind, at_ms=T0, value="pass")
            log.write(T0, "accepted", pk=f"f{n}", entry=entry, type=kind)
        log.write(T0, "buried", entry=entry)
        log.write(T0, "echo_printed", entry=entry)
    for end, chains in zip(ENDS * 2, CHAINS * 2, strict=False):
        log.write(
            T0, "log_removed", chains=chains, ended=end, file="x.20261301T000000000000Z.jsonl"
        )


def test_odd_values(tmp_path: Path) -> None:
    """What is of no use is passed over or named, also in the page."""
    log = LogMaker(tmp_path / "a.jsonl")
    write_oddly(log)
    log.close()

    done = invigil(tmp_path, "--html", tmp_path / "page.html")

    assert done.returncode == 1
    assert "NOT proven" in done.stdout


@pytest.mark.parametrize("late_ms", [1, 30_000_000])
def test_page_after_a_night(late_ms: int, tmp_path: Path) -> None:
    """A deadline that passed while nothing ran is drawn however late it was applied."""
    log = LogMaker(tmp_path / "a.jsonl")
    log.exam("a")
    log.expiry("a", T0 + 120_000, late_ms=late_ms)
    log.close(T0 + 120_000 + late_ms + 5)

    done = invigil(tmp_path, "--html", tmp_path / "page.html")

    assert done.returncode == 0


def test_what_only_has_the_name_of_a_log(tmp_path: Path) -> None:
    """A folder and a pipe are no logs, nor does what lies in the register hold an audit up."""
    log = LogMaker(tmp_path / "a.jsonl")
    log.close()
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / ".heads/folder").mkdir(parents=True)
    os.mkfifo(tmp_path / ".heads/pipe")
    (tmp_path / ".heads/number").write_text(f"{'1' * 5000} x 5 x")

    assert 0 == audit(tmp_path)[0]
