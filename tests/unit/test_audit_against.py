"""The log against the exams' files: what may be ahead, and what nothing explains."""

import os
from pathlib import Path

import pytest
from support.invigil import audit
from support.log_maker import T0, LogMaker

from filestore.exam import transition
from filestore.fact import Fact, Type
from filestore.store import Store
from ops.logfile import remove_oldest

NOW = T0 + 50_000


def save(data: Path, pk: str, *, start_ms: int, end_ms: int | None = None) -> None:
    """Put an exam on the disk: started, and passed if *end_ms* says when."""
    said: list[tuple[int | None, Type, int | str]] = [
        (start_ms, Type.START, 120),
        (end_ms, Type.FINISH, "pass"),
    ]
    facts = [
        Fact(at_ms=at, entry=f"{at}-0", command=f"c-{at}", source=None, type=kind, value=value)
        for at, kind, value in said
        if at is not None
    ]
    exam = transition(pk, None, facts).exam
    assert exam
    store = Store(data / "exams")
    store.prepare()
    store.save(exam)


def write(data: Path) -> None:
    """Let the log tell of one start, and end."""
    log = LogMaker(data / "logs/worker-exam.jsonl")
    log.exam("a")
    log.close(NOW)


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "rules"),
    [
        (NOW - 9, None, {"record differs"}),
        (T0, NOW - 9, set()),
        (T0, T0 - 11_000, {"record differs"}),
        (T0, NOW + 61_000, {"record differs"}),
    ],
)
def test_known_exam(start_ms: int, end_ms: int | None, rules: set[str], tmp_path: Path) -> None:
    """A worker that was killed after it had saved leaves a file ahead: not for long, though."""
    write(tmp_path)
    save(tmp_path, "a", start_ms=start_ms, end_ms=end_ms)

    _, report = audit("--against", tmp_path, tmp_path)

    assert rules == set(report["violations"])
    _, report = audit("--against", tmp_path, "--running", tmp_path)
    assert (end_ms == NOW + 61_000) or rules == set(report["violations"])


@pytest.mark.parametrize(("start_ms", "is_new"), [(NOW - 9, True), (T0 - 99_000, False)])
def test_unknown_exam(start_ms: int, is_new: bool, tmp_path: Path) -> None:
    """So with an exam that no line tells of."""
    write(tmp_path)
    save(tmp_path, "a", start_ms=T0)
    save(tmp_path, "b", start_ms=start_ms)

    _, report = audit("--against", tmp_path, tmp_path)

    assert ("not in the log" not in report["violations"]) == is_new


def test_foreign_files(tmp_path: Path) -> None:
    """Whatever lies among the exams is named."""
    write(tmp_path)
    save(tmp_path, "a", start_ms=T0)
    (tmp_path / "exams/00/folder.json").mkdir()
    Path(os.fsdecode(bytes(tmp_path / "exams/00/") + b"/\xff\xfe.json")).write_text("{}")

    code, report = audit("--against", tmp_path, tmp_path)

    assert (1, 2) == (code, report["violations"]["not in the log"]["count"])


def test_removed_file(tmp_path: Path) -> None:
    """What only a removed file could prove is noted; what came in after it must be there."""
    path = tmp_path / "logs/worker-exam.jsonl"
    gateway = LogMaker(path.with_name("gateway.jsonl"), part="gateway")
    worker = LogMaker(path)
    ids = {"command_id": "c", "type": "exam.start"}
    gateway.write(T0, "accepted", pk="b", entry=f"{T0}-0", **ids)
    for pk in "abc":
        worker.exam(pk)
    worker.result("b", T0 + 50)
    worker.result("c", T0 + 50)
    path.rename(path.with_name("worker-exam.20261124T060010000000Z.jsonl"))
    worker.expiry("a", T0 + 120_000)
    for name, chains in remove_oldest(path, keep=0):
        worker.write(T0 + 130_000, "log_removed", file=name, chains=chains)
    worker.close()
    for pk in "abc":
        save(tmp_path, pk, start_ms=T0, end_ms=None if pk == "a" else T0 + 50)
    gateway.write(T0 + 20_000, "accepted", pk="d", entry=f"{T0 + 20_000}-0", **ids)
    gateway.close()

    _, report = audit("--against", tmp_path, tmp_path)

    assert {"never decided", "record differs"} == set(report["violations"])
    assert 1 == report["violations"]["never decided"]["count"]
    assert 3 == report["notes"]["before the log"]["count"]
