"""Parts are killed and frozen beside a living system, one stack for all tests here."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from support.client import Client
from support.stack import Stack
from support.waiting import wait_until

from ops import keys

#: The parts of a stack that is left alone for a moment.
PARTS = ("worker-exam", "worker-mail", "worker-slow", "dispatcher", "beat", "gateway")


@pytest.fixture(autouse=True)
def recovered(stack: Stack) -> Iterator[None]:
    """After each test every part lives, and nothing is pending."""
    yield

    def is_well() -> bool:
        return stack.is_done() and all(Path(f"/proc/{stack.pid(part)}").exists() for part in PARTS)

    wait_until(is_well, timeout_s=60, saying="every part lives, and nothing is pending")


def started(stack: Stack) -> int:
    """Read how many exams the system counted as started."""
    redis: Client = stack.redis()
    return int(redis.hget(keys.COUNTS, "started") or 0)


@pytest.mark.parametrize("part", ["worker-exam", "dispatcher", "gateway", "worker-slow", "beat"])
def test_killed_part(stack: Stack, part: str) -> None:
    """A part that is killed is started again, and a command sent meanwhile is applied."""
    pk, old = f"meanwhile-{part}", stack.pid(part)
    os.kill(old, signal.SIGKILL)
    data = json.dumps({"pk": pk})
    stack.redis().xadd(keys.COMMANDS, {"type": "exam.start", "data": data})

    wait_until(lambda: stack.document(pk), saying="it is started")
    [line] = wait_until(lambda: stack.lines("part_exited", pid=old), saying="it is said")
    assert (part, "SIGKILL") == (line["part"], line["status"])
    wait_until(lambda: stack.pid(part) != old, saying="there is a new one")


def test_worker_asks_for_bells(stack: Stack) -> None:
    """An exam worker that starts has all bells rung again: one may have been taken along."""
    dispatcher = stack.pid("dispatcher")
    asked = partial(stack.redis().exists, keys.RING_AGAIN)
    wait_until(lambda: not asked(), saying="nobody else asks")
    os.kill(dispatcher, signal.SIGSTOP)
    try:
        os.kill(stack.pid("worker-exam"), signal.SIGKILL)
        wait_until(asked, saying="the new one asks")
    finally:
        os.kill(dispatcher, signal.SIGCONT)

    wait_until(lambda: not asked(), saying="the dispatcher has heard it")


def test_killed_while_applying(stack: Stack) -> None:
    """Killing every exam process amid a thousand commands costs no exam and applies none twice."""
    before = started(stack)
    stack.invigil("send", "exam.start", "--pk", "k", "--duration", "600", "--count", "1000")
    folder = stack.settings.exams
    wait_until(lambda: len(list(folder.glob("*/k-*.json"))) > 50, saying="it is under way")

    os.killpg(stack.pid("worker-exam"), signal.SIGKILL)

    wait_until(
        lambda: len(list(folder.glob("*/k-*.json"))) == 1000, timeout_s=60, saying="all started"
    )
    wait_until(stack.is_done, saying="all acknowledged")
    for path in folder.glob("*/k-*.json"):
        assert 1 == len(json.loads(path.read_text())["history"])
    assert before + 1000 == started(stack)


def test_second_up(stack: Stack) -> None:
    """A second `up` on the same data is refused, and names the first one's process."""
    shown = stack.invigil("up")

    assert 1 == shown.returncode
    assert str(stack.process.pid) in shown.stderr


def test_stand_by(stack: Stack) -> None:
    """A second dispatcher takes over from one that is paused; that one, woken, does no harm."""
    command = [sys.executable, "-m", "ops.cli", "dispatcher"]
    env = {**stack.env, "INVIGIL_PART": "stand-by"}
    output = stack.output.parent / "stand-by"
    paused = stack.pid("dispatcher")
    with output.open("wb") as file:
        second = subprocess.Popen(command, env=env, cwd=output.parent, stdout=file)
    try:
        wait_until(lambda: b"part_ready" in output.read_bytes(), saying="ready")
        assert b"lease_taken" not in output.read_bytes()

        os.kill(paused, signal.SIGSTOP)

        wait_until(lambda: b"lease_taken" in output.read_bytes(), saying="takes over")
        stack.post("/exams", {"pk": "after", "duration": 600})
        wait_until(lambda: stack.document("after"), saying="started")
        os.kill(paused, signal.SIGCONT)
        wait_until(lambda: stack.lines("lease_lost", pid=paused), saying="it stands by")
        stack.post("/exams/after/result", {"status": "pass"})
        wait_until(lambda: stack.has_status("after", "pass"), saying="pass")
    finally:
        os.kill(paused, signal.SIGCONT)
        second.terminate()
        assert 0 == second.wait(20)
