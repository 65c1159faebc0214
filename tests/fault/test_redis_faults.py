"""Redis refuses what writes, hangs, or dies: work waits, and goes on by itself."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.breakable import Breakable
from support.client import Client
from support.invariants import Witness
from support.stack import Stack, running
from support.waiting import wait_until

from filestore.document import from_iso
from ops import keys
from ops.celery_argv import worker_argv


@pytest.fixture(scope="module")
def stack(breakable: Breakable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A system on a server that can be broken."""
    folder = tmp_path_factory.mktemp("stack")
    with running(folder, redis_url=breakable.url, mail_every=3600) as stack:
        yield stack


@pytest.fixture(scope="module")
def witness(stack: Stack) -> Witness:
    """Who remembers what was acknowledged."""
    return Witness(stack)


class Fault:
    """One way to break Redis, with an exam in each state at hand."""

    def __init__(self, stack: Stack, witness: Witness, name: str) -> None:
        """Start exams: one that will be decided, one whose deadline passes in the outage."""
        self._stack = stack
        self._witness = witness
        self._name = name
        witness.start(f"{name}-open")
        witness.start(f"{name}-short", duration=2)
        for pk in ("open", "short"):
            wait_until(lambda pk=pk: stack.document(f"{name}-{pk}"), saying="started")  # type: ignore[misc]
        self._said = self._count("unavailable")
        self._back = self._count("available")

    def is_refused(self) -> None:
        """See that the doors say 503, and that the dispatcher says it once."""
        answer = self._witness.start(f"{self._name}-refused")
        assert (503, "2") == (answer.status, answer.headers.get("Retry-After"))
        assert 503 == self._stack.get("/readyz").status
        wait_until(lambda: self._count("unavailable") > self._said, saying="it is said")

    def is_over(self) -> None:
        """See that all goes on by itself."""
        wait_until(lambda: self._stack.get("/readyz").status == 200, saying="ready")
        wait_until(
            lambda: self._witness.result(f"{self._name}-open").status == 202,
            saying="taken again",
        )
        for pk, status in (("open", "pass"), ("short", "absent")):
            wait_until(
                lambda pk=pk, status=status: self._stack.has_status(f"{self._name}-{pk}", status),  # type: ignore[misc]
                saying=f"{pk} is {status}",
            )
        wait_until(lambda: self._count("available") > self._back, saying="it is said")
        self._witness.check()

    def _count(self, event: str) -> int:
        return len(self._stack.lines(event, what="redis", part="dispatcher"))


def test_out_of_memory(stack: Stack, witness: Witness) -> None:
    """A Redis without memory is waited for; deadlines that pass meanwhile fire afterwards."""
    fault = Fault(stack, witness, "memory")
    redis: Client = stack.redis()
    redis.config_set("maxmemory", 1)

    fault.is_refused()
    redis.config_set("maxmemory", 0)

    fault.is_over()


def test_read_only(stack: Stack, witness: Witness) -> None:
    """A Redis that was made a replica is waited for until it is a master again."""
    fault = Fault(stack, witness, "replica")
    redis: Client = stack.redis()
    redis.replicaof("127.0.0.1", "1")

    fault.is_refused()
    redis.replicaof("NO", "ONE")

    fault.is_over()


def test_too_few_replicas(stack: Stack, witness: Witness) -> None:
    """A Redis that refuses to write, as one without room on its disk does, ends no worker."""
    fault = Fault(stack, witness, "refusing")
    exited = len(stack.lines("part_exited"))
    redis: Client = stack.redis()
    redis.config_set("min-replicas-to-write", 1)

    fault.is_refused()
    wait_until(
        lambda: {"worker-exam", "worker-slow"} <= {line["part"] for line in _lost(stack)},
        saying="the workers have met it",
    )
    redis.config_set("min-replicas-to-write", 0)

    fault.is_over()
    assert exited == len(stack.lines("part_exited"))


def _lost(stack: Stack) -> list[dict[str, Any]]:
    """What Celery says of its connection."""
    lines = stack.lines(logger="celery.worker.consumer.consumer")
    return [line for line in lines if "Connection to broker lost" in line["event"]]


def test_killed(stack: Stack, witness: Witness, breakable: Breakable) -> None:
    """A Redis that was killed is waited for; started again, it has all that it acknowledged."""
    fault = Fault(stack, witness, "killed")
    breakable.kill()

    fault.is_refused()
    breakable.start()

    fault.is_over()


def test_worker_before_redis(
    stack: Stack, breakable: Breakable, tmp_path: Path, witness: Witness
) -> None:
    """A worker that starts before Redis does waits for it itself: Celery would look too seldom."""
    log = stack.settings.logs / "worker-early.jsonl"
    env = {**stack.env, "INVIGIL_PART": "worker-early"}
    breakable.kill()
    argv = worker_argv(keys.QUEUE_EXAM, "2,1")
    worker = subprocess.Popen(argv, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: log.exists() and b"unavailable" in log.read_bytes(), saying="it waits")
        breakable.start()
        wait_until(lambda: b"part_ready" in log.read_bytes(), saying="it is ready")
    finally:
        worker.terminate()
        assert 0 == worker.wait(30)
    said = [json.loads(line)["event"] for line in log.read_bytes().splitlines()]
    assert said.index("unavailable") < said.index("available") < said.index("part_ready")
    assert not [event for event in said if "Cannot connect" in event]
    wait_until(lambda: stack.get("/readyz").status == 200, saying="ready")
    witness.check()


def test_frozen(stack: Stack, witness: Witness, breakable: Breakable) -> None:
    """A Redis that hangs for longer than anyone waits for an answer is as good as away."""
    fault = Fault(stack, witness, "frozen")
    breakable.freeze()

    fault.is_refused()  # the dispatcher has waited for its whole time for an answer by then
    breakable.thaw()

    fault.is_over()


def test_forged_greatest_id(stack: Stack, witness: Witness) -> None:
    """
    An entry with the greatest id there is ends the stream: 503 says what to do, it helps, and what
    lay before it is applied.
    """
    witness.start("last", duration=2)
    redis: Client = stack.redis()
    away = len(stack.lines("unavailable", what="redis", part="dispatcher"))
    greatest = f"{2**64 - 1}-{2**64 - 1}"
    forged = {"type": "exam.start", "data": '{"pk":"forged"}'}
    redis.xadd("invigil:commands", forged, id=greatest)

    answer = witness.start("refused")
    assert 503 == answer.status
    assert "made it anew" in answer.body["detail"]
    assert 503 == stack.get("/readyz").status
    wait_until(
        lambda: (
            {"gateway", "dispatcher"}
            == {line["part"] for line in stack.lines("unavailable", what="stream")}
        ),
        saying="both say it",
    )
    wait_until(lambda: stack.document("forged"), saying="what was there is applied")
    wait_until(
        lambda: redis.xpending("invigil:commands", "dispatcher")["pending"] == 0,
        saying="nothing is pending",
    )
    overdue_s = from_iso(stack.document("last")["deadline"]) / 1000 + 1
    wait_until(lambda: redis.time()[0] > overdue_s, saying="a deadline could not fire")
    assert away == len(stack.lines("unavailable", what="redis", part="dispatcher"))
    redis.delete("invigil:commands")

    wait_until(lambda: witness.start("anew").status == 202, saying="taken again")
    wait_until(lambda: stack.document("anew"), saying="started")
    wait_until(lambda: stack.has_status("last", "absent"), saying="absent")
    assert 1 == len(stack.lines("unavailable", what="stream", part="dispatcher"))
    wait_until(lambda: stack.lines("available", what="stream", part="dispatcher"), saying="said")
    witness.check()
