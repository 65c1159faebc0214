"""A real system's log, after some of its processes were killed: proven, and every crime is seen."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.invigil import audit
from support.stack import Stack, running
from support.tampering import CRIMES
from support.waiting import wait_until


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, redis_url: str | None) -> Iterator[Stack]:
    """A system that has done some of everything, and has ended."""
    with running(tmp_path_factory.mktemp("stack"), redis_url=redis_url) as stack:
        work(stack)
        stack.stop()
        yield stack


@pytest.fixture
def data(ended: Stack) -> Path:
    """Its data folder."""
    return ended.settings.data


def work(stack: Stack) -> None:
    """Let exams pass, fail and be absent while a pool process, a worker and the gateway die."""
    for n in range(12):
        stack.post("/exams", {"pk": f"e{n}", "duration": 1 if n % 3 == 2 else 60})
    wait_until(lambda: stack.has_status("e11", "absent"), saying="absent")
    stack.kill_part("worker-exam")
    for n in range(12):
        if n % 3 != 2:
            stack.post(f"/exams/e{n}/result", {"status": "pass" if n % 3 else "fail"})
    stack.post("/echo", {"text": "hello", "delay": 0.1})
    passed = {"pk": "e10", "type": "exam.finish"}
    wait_until(lambda: stack.lines("applied", **passed), saying="pass")
    wait_until(lambda: stack.lines("echo_printed"), saying="printed")
    with suppress(ProcessLookupError):  # fewer are needed by now, and it has ended
        os.kill(stack.lines("applied", **passed)[-1]["pid"], signal.SIGKILL)
    stack.kill_part("gateway")
    wait_until(lambda: len(stack.lines("part_ready", part="gateway")) > 1, saying="gateway")
    wait_until(stack.is_done, saying="all is recorded, also what the killed process had in hand")


def report(stack_data: Path) -> tuple[int, dict[str, dict[str, object]]]:
    """Audit logs and files; return the exit code and the broken rules."""
    code, found = audit("--against", stack_data, stack_data)
    return code, found["violations"]


def test_untouched(data: Path) -> None:
    """Where nothing was done, all is proven, though processes were killed."""
    assert (0, {}) == report(data)


def test_standard_output(ended: Stack) -> None:
    """What all parts printed, as a container runtime ships it, proves as much as the files."""
    code, found = audit("--against", ended.settings.data, "-", stdin=ended.output.read_bytes())

    assert (0, {}) == (code, found["violations"])
    assert found["files compared"] == 12
    assert found["processes"] > 10


@pytest.mark.parametrize("name", list(CRIMES))
def test_crime(name: str, data: Path, tmp_path: Path) -> None:
    """Whatever is done to a copy, a rule about just that is broken."""
    copy = tmp_path / "copy"
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("redis", "mail"))

    CRIMES[name].do(copy)

    code, broken = report(copy)
    assert code == 1
    assert CRIMES[name].rules & broken.keys(), json.dumps(broken, indent=1)
