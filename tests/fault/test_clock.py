"""The machine's clock steps under Redis: exams are judged by it, and all of them end."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.breakable import Breakable
from support.client import Client
from support.clock import Clock
from support.invariants import Witness
from support.stack import Stack, running
from support.waiting import wait_until

from filestore.document import from_iso
from ops import embedded

HOUR_S = 3600


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """The clock of the test's Redis."""
    return Clock(tmp_path / "clock")


@pytest.fixture
def stack(clock: Clock, tmp_path: Path) -> Iterator[Stack]:
    """
    A system on a server with that clock: always the one that we bring.

    Debian's redis-server does not start under libfaketime: its allocator, jemalloc, asks for the
    time before the library is ready.
    """
    server = Breakable(tmp_path / "redis", embedded.find_server(), env=clock.env())
    try:
        with running(tmp_path, redis_url=server.url, mail_every=HOUR_S) as stack:
            yield stack
    finally:
        server.kill()


def now_ms(stack: Stack) -> int:
    """Redis' clock."""
    redis: Client = stack.redis()
    seconds, microseconds = redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def test_clock_steps(stack: Stack, clock: Clock) -> None:
    """
    An hour forward, then back: who was in time has passed, who was not is absent, nobody early.

    After the step back new entry ids keep the hour; they buy and cost nobody any time.
    """
    witness = Witness(stack)
    witness.start("in-time", duration=600)
    witness.start("overrun", duration=600)
    witness.start("long", duration=2 * HOUR_S)
    witness.result("in-time")
    began_ms = now_ms(stack)

    clock.step(HOUR_S)
    assert now_ms(stack) > began_ms + 3_500_000
    wait_until(lambda: stack.has_status("overrun", "absent"), saying="absent")
    wait_until(lambda: stack.has_status("in-time", "pass"), saying="pass")
    # For a moment a command that nobody has read seems to wait for an hour, and none is taken.
    wait_until(lambda: witness.start("ahead", duration=2).status == 202, saying="taken")
    wait_until(lambda: stack.has_status("ahead", "absent"), saying="absent")

    clock.step(0)
    assert now_ms(stack) < began_ms + 600_000
    witness.start("back", duration=3)
    witness.start("back-pass", duration=60)
    witness.result("back-pass")
    wait_until(lambda: stack.document("back"), saying="started")
    assert abs(now_ms(stack) - from_iso(stack.document("back")["started_at"])) < 5_000
    wait_until(lambda: stack.has_status("back", "absent"), saying="absent")
    wait_until(lambda: stack.has_status("back-pass", "pass"), saying="pass")
    assert "started" == stack.document("long")["status"]
    witness.result("long")
    wait_until(lambda: stack.has_status("long", "pass"), saying="pass")

    witness.check()
    assert all(line["late_ms"] > 0 for line in stack.lines("deadline_fired"))
    assert {"overrun", "ahead", "back"} <= {line["pk"] for line in stack.lines("deadline_fired")}


def test_stand_by_after_a_step_back(stack: Stack, clock: Clock) -> None:
    """A dispatcher killed after the clock went back an hour is replaced as soon as ever."""
    clock.step(-HOUR_S)
    witness = Witness(stack)
    witness.start("before")
    wait_until(lambda: stack.document("before"), saying="started")

    stack.kill_part("dispatcher")
    witness.start("after")

    wait_until(lambda: stack.document("after"), saying="started")
    witness.check()
