"""Stop it, kill it, start it again: nothing is lost, and nothing comes early or twice."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stack import Stack, running, start, wait_until_ready
from support.waiting import wait_until

from filestore.document import from_iso
from ops import keys


@pytest.fixture
def stack(tmp_path: Path, redis_url: str | None) -> Iterator[Stack]:
    """A system of the test's own, to be broken."""
    with running(tmp_path, redis_url=redis_url, mail_every=3600) as stack:
        yield stack


def again(stack: Stack) -> Stack:
    """Start the system on the same data."""
    url = stack.env.get("REDIS_URL")
    restarted = start(stack.output.parent, redis_url=url, mail_every=3600)
    wait_until_ready(restarted)
    stack.process, stack.output, stack.url = restarted.process, restarted.output, restarted.url
    return stack


def processes(stack: Stack) -> list[str]:
    """List what runs on the stack's data, by its environment or command line."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if folder.name.isdecimal() and str(stack.settings.data).encode() in text:
            found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def test_ctrl_c(stack: Stack) -> None:
    """Ctrl-C leaves no process; started again, what passed is absent at once, the rest keeps."""
    stack.post("/exams", {"pk": "short", "duration": 2})
    stack.post("/exams", {"pk": "long", "duration": 600})
    wait_until(lambda: stack.document("short") and stack.document("long"), saying="both started")
    before = stack.document("long")

    assert 0 == stack.stop()
    assert [] == processes(stack)
    deadline_ms = from_iso(stack.document("short")["deadline"])
    wait_until(lambda: _now_ms() > deadline_ms, saying="the short one's deadline has passed")
    again(stack)

    wait_until(lambda: stack.has_status("short", "absent"), saying="absent at once")
    assert before == stack.document("long")
    deadline = stack.redis().zscore(keys.DEADLINES, "long")
    assert from_iso(before["deadline"]) == deadline


def test_ctrl_c_under_load(stack: Stack) -> None:
    """Stopped amid two thousand commands, it goes on where it was: every exam ends once."""
    stack.invigil("send", "exam.start", "--pk", "load", "--duration", "1", "--count", "2000")
    folder = stack.settings.exams
    wait_until(lambda: len(list(folder.glob("*/load-*.json"))) > 100, saying="it is under way")

    assert 0 == stack.stop()
    again(stack)

    def ended() -> bool:
        paths = list(folder.glob("*/load-*.json"))
        return sum('"absent"' in path.read_text() for path in paths) == 2000

    wait_until(ended, timeout_s=60, saying="all are absent")
    for path in folder.glob("*/load-*.json"):
        applied = [h["type"] for h in json.loads(path.read_text())["history"]]
        assert ["exam.start", "exam.expire"] == applied
    wait_until(stack.is_done, saying="the books are kept")
    counts = stack.redis().hgetall(keys.COUNTS)
    assert {b"started": b"2000", b"absent": b"2000"} == counts


def test_killed(stack: Stack) -> None:
    """kill -9 of `up` leaves no process, and `up` again at once loses nothing."""
    stack.post("/exams", {"pk": "kept", "duration": 600})
    wait_until(lambda: stack.document("kept"), saying="started")

    stack.process.kill()
    stack.process.wait()
    again(stack)

    assert stack.redis().zscore(keys.DEADLINES, "kept")
    assert 202 == stack.post("/exams/kept/result", {"status": "pass"}).status
    wait_until(lambda: stack.has_status("kept", "pass"), saying="pass")
    assert 0 == stack.stop()
    wait_until(lambda: [] == processes(stack), saying="no process is left")


def test_second_ctrl_c(stack: Stack) -> None:
    """A second Ctrl-C ends everything at once; the sleeping echo is printed by the next run."""
    stack.post("/echo", {"text": "twice stopped", "delay": 3})
    wait_until(lambda: stack.lines("echo_started"), saying="the echo sleeps")

    stack.process.send_signal(signal.SIGINT)
    wait_until(lambda: stack.lines("part_stopping", part="up"), saying="it began to stop")
    assert 130 == stack.stop()
    assert [] == processes(stack)
    again(stack)

    wait_until(lambda: stack.lines("echo_printed"), saying="printed")
    assert ["twice stopped"] == [line["text"] for line in stack.lines("echo_printed")]


def test_killed_redis(stack: Stack) -> None:
    """The embedded server, killed, is back with all it had acknowledged; work goes on."""
    if not stack.settings.is_embedded:
        pytest.skip("the server is not ours to kill")
    stack.post("/exams", {"pk": "before", "duration": 600})
    pid = int((stack.settings.redis_folder / "server.lock").read_text())

    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: stack.lines("part_exited", part="redis"), saying="it is said")
    wait_until(lambda: stack.get("/readyz").status == 200, saying="ready again")

    assert 202 == stack.post("/exams/before/result", {"status": "pass"}).status
    wait_until(lambda: stack.has_status("before", "pass"), saying="pass")


def test_emptied_redis(stack: Stack) -> None:
    """FLUSHALL costs no decided exam and no open deadline; what is sent after it is applied."""
    stack.post("/exams", {"pk": "decided", "duration": 600})
    stack.post("/exams/decided/result", {"status": "pass"})
    stack.post("/exams", {"pk": "open", "duration": 8})
    wait_until(lambda: stack.has_status("decided", "pass"), saying="pass")
    wait_until(lambda: stack.has_deadline("open"), saying="started, and its clock set")

    stack.redis().flushall()

    wait_until(lambda: stack.lines("deadline_restored", pk="open"), saying="back")
    stack.post("/exams", {"pk": "after", "duration": 600})
    wait_until(lambda: stack.document("after"), saying="started")
    stack.post("/echo", {"text": "after the flood", "delay": 0})
    wait_until(lambda: stack.lines("echo_printed"), saying="printed")
    wait_until(lambda: stack.has_status("open", "absent"), saying="absent")
    assert "pass" == stack.document("decided")["status"]


def test_folder_comes_back(tmp_path: Path, redis_url: str | None) -> None:
    """Exams whose folder cannot be used at the start are applied when it can be."""
    exams = tmp_path / "var/exams"
    exams.parent.mkdir()
    exams.write_text("a disk that is not mounted")
    with running(tmp_path, redis_url=redis_url, mail_every=3600) as stack:
        stack.post("/exams", {"pk": "a", "duration": 600})
        wait_until(lambda: stack.lines("unavailable", what="disk"), saying="it is said")

        exams.unlink()
        exams.mkdir()

        wait_until(lambda: stack.document("a"), saying="started")


def _now_ms() -> int:
    return int(time.time() * 1000)
