"""The metrics of a whole system: all that is promised of them, and right whoever is killed."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from support.metrics import found, value
from support.stack import Stack
from support.waiting import wait_until

DEPLOY = Path(str(files("ops"))) / "deploy"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
APPLIED = "invigil_commands_applied_total"
#: What Prometheus adds to the names of samples.
ENDS = r"(?:_bucket|_sum|_count)$"
EXAMS = 40


def text_of(stack: Stack) -> str:
    """Ask for the metrics."""
    answer = stack.get("/metrics")
    assert 200 == answer.status
    return str(answer.body)


def exported(stack: Stack) -> set[str]:
    """Name all that is there, as one asks for it."""
    return {
        re.sub(ENDS, "", sample.name)
        for metric in found(text_of(stack))
        for sample in metric.samples
    }


def has_children(stack: Stack) -> bool:
    """Whether each worker has said how many it has."""
    text = text_of(stack)
    return all(
        value(text, "invigil_worker_children", queues=queue) for queue in ("exam", "mail", "slow")
    )


def test_all_that_is_asked_for_is_there(stack: Stack) -> None:
    """Each metric of the rules and of the dashboard is exported by a running system."""
    wait_until(lambda: has_children(stack), saying="each worker is on the roster")
    asked = " ".join(
        (DEPLOY / name).read_text() for name in ("alerts.yml", "grafana-dashboard.json")
    )

    names = {re.sub(ENDS, "", name) for name in re.findall(r"\b(?:invigil|process)_\w+", asked)}

    assert len(names) > 20
    assert names <= exported(stack)


def test_each_is_documented(stack: Stack) -> None:
    """The table of metrics has what a running system exports, and nothing else."""
    wait_until(lambda: has_children(stack), saying="each worker is on the roster")
    rows = re.findall(r"^\| `((?:invigil|process)_\w+)`", OPERATIONS.read_text(), re.M)

    assert len(rows) == len(set(rows))
    ours = {name for name in exported(stack) if name.startswith("invigil_")}
    assert ours == {name for name in rows if name.startswith("invigil_")}


def test_prometheus_understands_it(stack: Stack) -> None:
    """Prometheus' own check finds no fault with the text."""
    if not shutil.which("promtool"):
        pytest.skip("there is no promtool on this machine")

    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=text_of(stack),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_right_whoever_is_killed(stack: Stack) -> None:
    """With workers and the dispatcher killed in between, what is counted is what is on disk."""
    for number in range(EXAMS):
        pk = f"killed-{number}"
        assert 202 == stack.post("/exams", {"pk": pk, "duration": 1 if number % 4 else 60}).status
        if not number % 4:
            assert 202 == stack.post(f"/exams/{pk}/result", {"status": "pass"}).status
        if number == EXAMS // 3:
            stack.kill_part("worker-exam")
        if number == EXAMS // 2:
            stack.kill_part("dispatcher")
        if number in (EXAMS - 10, EXAMS - 1):
            kill_a_child(stack)
    wait_until(lambda: all_decided(stack), timeout_s=90, saying="every exam is decided")
    truth = on_disk(stack)

    def counted() -> Counter[tuple[str, str, str]]:
        return Counter(
            {
                (at["type"], at["verdict"], at["reason"]): int(sample.value)
                for metric in found(text_of(stack))
                for sample in metric.samples
                if sample.name == APPLIED and sample.value and (at := sample.labels)
            }
        )

    wait_until(lambda: counted() == truth, saying=f"the counters are {truth}")
    text = text_of(stack)
    assert EXAMS == truth["exam.start", "applied", ""]
    assert EXAMS == value(text, "invigil_command_latency_seconds_count", type="exam.start")
    absent = EXAMS * 3 // 4
    assert absent == value(text, "invigil_absent_lateness_seconds_count")
    assert absent == value(text, "invigil_exams_changed_total", status="absent")
    assert sum(truth.values()) == value(text, "invigil_commands_received_total")


def kill_a_child(stack: Stack) -> None:
    """Kill a process of the exam worker's pool, if it has one at the moment."""
    children = Path(f"/proc/{stack.pid('worker-exam')}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    for pid in pids[:1]:
        os.kill(pid, signal.SIGKILL)


def all_decided(stack: Stack) -> bool:
    """Whether no exam is open."""
    return all(
        stack.has_status(f"killed-{number}", "absent" if number % 4 else "pass")
        for number in range(EXAMS)
    )


def on_disk(stack: Stack) -> Counter[tuple[str, str, str]]:
    """Count what the exams' histories say, by type, verdict and reason."""
    records = (
        record
        for path in stack.settings.exams.glob("*/*.json")
        for record in json.loads(path.read_text())["history"]
    )
    return Counter((one["type"], one["verdict"], one.get("reason", "")) for one in records)
