"""What an audit is given: whatever it is, it says what it saw, and never a traceback."""

import gzip
import json
import os
import random
from pathlib import Path

import pytest
from support.invigil import audit, invigil
from support.log_maker import T0, LogMaker


def logs(folder: Path, *, exams: int = 3) -> Path:
    """Logs of a gateway and a worker that ended in order."""
    gateway = LogMaker(folder / "gateway.jsonl", part="gateway", pid=1)
    worker = LogMaker(folder / "worker-exam.jsonl", pid=2)
    for n in range(exams):
        at_ms = T0 + n * 100
        ids = {"pk": f"e{n}", "command_id": f"c-{at_ms}", "entry": f"{at_ms}-0"}
        gateway.write(at_ms, "accepted", **ids, type="exam.start")
        worker.exam(f"e{n}", at_ms=at_ms)
        worker.result(f"e{n}", at_ms + 50)
    gateway.close()
    worker.close()
    return folder


def test_folder(tmp_path: Path) -> None:
    """A folder of sound logs is proven, and the report has the numbers."""
    code, report = audit(logs(tmp_path))

    assert (0, True, {}) == (code, report["proven"], report["violations"])
    assert {"started": 3, "pass": 3, "fail": 0, "absent": 0} == report["exams"]
    assert report["processes"] == 2


def test_people(tmp_path: Path) -> None:
    """People read the headline first; what is broken is named with its place."""
    path = logs(tmp_path) / "gateway.jsonl"
    assert invigil(tmp_path).stdout.startswith("proven: every rule holds\n")

    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    done = invigil(tmp_path)

    assert (1, "NOT proven: 1 violations of 1 rules") == (
        done.returncode,
        done.stdout.splitlines()[0],
    )
    assert f"between {path}:2 and {path}:3: line 3 of gateway 1" in done.stdout


@pytest.mark.parametrize("form", ["files", "pattern", "gz", "one file", "other way round", "stdin"])
def test_forms(form: str, tmp_path: Path) -> None:
    """The same logs are proven in whatever form and order they come."""
    folder = logs(tmp_path / "logs")
    paths = sorted(folder.iterdir())
    whole = b"".join(path.read_bytes() for path in reversed(paths))
    stdin = None
    match form:
        case "files":
            names: list[object] = list(reversed(paths))
        case "pattern":
            names = [tmp_path / "l*" / "*.jsonl"]
        case "gz":
            for path in paths:
                (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            names = [tmp_path / "*.gz"]
        case "one file" | "other way round":
            names = [tmp_path / "all.jsonl"]
            text = whole if form == "one file" else b"".join(p.read_bytes() for p in paths)
            (tmp_path / "all.jsonl").write_bytes(text)
        case _:
            names, stdin = ["-"], whole

    code, report = audit(*names, stdin=stdin)

    assert (0, {}) == (code, report["violations"])
    assert {"started": 3, "pass": 3, "fail": 0, "absent": 0} == report["exams"]


def test_concatenated_hours(tmp_path: Path) -> None:
    """Logs of several hours, one behind the other in one file, are read side by side."""
    early, late = LogMaker(tmp_path / "a", pid=1), LogMaker(tmp_path / "b", pid=2)
    early.exam("x")
    early.exam("y", at_ms=T0 + 3_600_000)
    late.result("x", T0 + 100_000)
    late.result("y", T0 + 3_700_000)
    for log in (early, late):
        log.close()
    texts = [(tmp_path / name).read_bytes() for name in ("b", "a")]
    for name in ("a", "b"):
        (tmp_path / name).unlink()
    (tmp_path / "both.jsonl.gz").write_bytes(gzip.compress(b"".join(texts)))

    code, report = audit(tmp_path)
    assert (0, {}) == (code, report["violations"])


def test_clock_that_was_set_back(tmp_path: Path) -> None:
    """A process' lines stay in order though its clock was set back by an hour."""
    log = LogMaker(tmp_path / "a.jsonl")
    for n in (*range(40), *range(-3_600, -3_500)):
        log.write(T0 + n * 1000, "trimmed", entries=n)
    log.close()

    code, report = audit(tmp_path)
    assert (0, {}) == (code, report["violations"])


def test_foreign_lines(tmp_path: Path) -> None:
    """What is none of ours is counted and shown harmless, and breaks nothing."""
    path = logs(tmp_path) / "worker-exam.jsonl"
    banner = b' -------------- celery@host v5.7\n\x1b[31mred\n\n{}\n[1]\n{"event": 7}\n\xff\xfe\n'
    deep = b"[" * 100_000 + b"\n"
    half = b'{"ts": "2026-11-24T08:0'
    path.write_bytes(banner + deep + path.read_bytes() + half)

    code, report = audit(tmp_path)

    assert (0, {}) == (code, report["violations"])
    assert report["notes"]["foreign line"]["count"] == 8
    assert "\\x1b[31mred" in "".join(report["notes"]["foreign line"]["examples"])


def test_lines_of_an_older_version(tmp_path: Path) -> None:
    """Lines without a chain are read by the rules, and named: they prove less."""
    path = logs(tmp_path) / "gateway.jsonl"
    keys = ("chain", "seq", "prev")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    older = [{k: v for k, v in line.items() if k not in keys} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in older))

    code, report = audit(tmp_path)

    assert (1, ["no chain"]) == (code, list(report["violations"]))
    assert report["violations"]["no chain"]["count"] == 5


def test_other_zone(tmp_path: Path) -> None:
    """Times with another zone, as something between may have rewritten them, are understood."""
    log = LogMaker(tmp_path / "a.jsonl")
    log.exam("x")
    log.close()
    path = tmp_path / "a.jsonl"
    path.write_text(path.read_text().replace('Z"', '+00:00"'))

    code, report = audit(tmp_path)

    assert (1, {"line altered", "never fired"}) == (code, set(report["violations"]))


@pytest.mark.parametrize(
    ("name", "content", "saying"),
    [
        ("empty folder", None, "a folder without log files"),
        ("no such file", None, "there is no such file, folder or match"),
        ("picture.jsonl", bytes(range(256)) * 300, "no line of a log of ours"),
        ("empty.jsonl", b"", "no line of a log of ours"),
        ("not.jsonl.gz", b"no gzip", "not.jsonl.gz"),
        ("cut.jsonl.gz", gzip.compress(random.Random(1).randbytes(9999))[:-99], "cut.jsonl.gz"),
        ("endless.jsonl", b"x" * (17 << 20), "a line of more than 16 MB"),
    ],
)
def test_unreadable(name: str, content: bytes | None, saying: str, tmp_path: Path) -> None:
    """What cannot be read, or is no log, ends with 2 and one line that says why."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    elif "folder" in name:
        path.mkdir()

    done = invigil(path)

    assert done.returncode == 2
    assert [saying in line for line in done.stderr.splitlines()] == [True]


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_forbidden(tmp_path: Path) -> None:
    """A file that may not be read is named."""
    path = logs(tmp_path) / "gateway.jsonl"
    path.chmod(0)

    assert invigil(tmp_path).stderr == f"invigil audit: {path}: Permission denied\n"


def test_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a path the data folder's logs are meant, or those beside the exams compared with."""
    logs(tmp_path / "logs")
    (tmp_path / "exams").mkdir()
    assert "file missing" in invigil("--against", tmp_path).stdout

    monkeypatch.setenv("INVIGIL_DATA", str(tmp_path))
    assert 0 == invigil().returncode
    assert invigil("anchor").stdout
    monkeypatch.setenv("INVIGIL_PORT", "none")
    done = invigil()
    assert done.returncode == 2
    assert done.stderr.startswith("invigil audit: INVIGIL_PORT: 'none' is not allowed")


def test_running(tmp_path: Path) -> None:
    """Of a system that runs, processes may go on behind the end of the log."""
    path = logs(tmp_path) / "gateway.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    code, report = audit(tmp_path)
    assert (1, ["end unknown"]) == (code, list(report["violations"]))
    code, report = audit(tmp_path, "--running")
    assert (0, 1) == (code, report["notes"]["running"]["count"])


def test_anchor(tmp_path: Path) -> None:
    """A head that was kept elsewhere finds out that a line before it was changed, or cut."""
    folder = logs(tmp_path / "logs")
    kept = tmp_path / "notebook"
    kept.write_text(invigil("anchor", folder).stdout)
    assert 0 == invigil(folder, "--anchors", kept).returncode
    path = folder / "gateway.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)

    path.write_bytes(b"".join(lines[:-1]))
    assert "end missing" in invigil(folder, "--anchors", kept, "--running").stdout

    path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"log_closed", b"log_closed ")]))
    assert "line altered" in invigil(folder, "--anchors", kept, "--running").stdout

    path.unlink()
    assert "process missing" in invigil(folder, "--anchors", kept).stdout


def test_explain(tmp_path: Path) -> None:
    """The story of an exam, found by its name and by its command."""
    logs(tmp_path)

    assert "Exam e1: pass." in invigil("explain", "e1", tmp_path).stdout
    assert "e2" in invigil("explain", f"c-{T0 + 200}", tmp_path).stdout
    done = invigil("explain", "nobody", tmp_path)
    assert (1, "") == (done.returncode, done.stdout)
    assert "Nothing is known of nobody" in done.stderr


def test_page(tmp_path: Path) -> None:
    """The page is written, with what was found."""
    logs(tmp_path)
    page = tmp_path / "report.html"

    invigil(tmp_path, "--html", page)

    assert "Proven" in page.read_text(encoding="utf-8")
