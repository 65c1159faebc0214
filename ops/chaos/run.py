"""Run: a private system, a driver and a nemesis at once, then the judgement."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import click
import redis
import redis.exceptions
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ops import logins
from ops.chaos.driver import Driver
from ops.chaos.evidence import collect, what_is_left
from ops.chaos.judge import Violation, judge
from ops.chaos.ledger import Ledger
from ops.chaos.nemesis import Fault, Nemesis
from ops.chaos.scorecard import Scorecard
from ops.private_stack import NotReady, Stack
from ops.roles import Role

#: Seconds in which the system must be at rest once nobody sends and nothing breaks any more.
REST_LIMIT_S = 150.0
#: Seconds for which the last scripts may go on after the end.
TAIL_S = 60.0
#: Seconds between two looks, and between two lines of progress where there is no terminal.
LOOK_S = 0.25
SAY_EVERY_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    What to do.

    Attributes:
        rate: Commands per second.
        every_s: Seconds between two faults; 0: break nothing.
        folder: Empty folder for everything that the run leaves.
    """

    seconds: float
    rate: float
    seed: int
    every_s: float
    folder: Path


async def run(order: Order) -> Scorecard:
    """
    Run it all.

    Raises:
        NotReady: The system did not start.
    """
    stack = Stack(order.folder / "var", mail_every=10)
    ledger = Ledger(order.folder / "ledger.jsonl")
    faults: list[Fault] = []
    began = time.monotonic()
    try:
        async with _kept(ledger):
            await stack.start()
            faults += await _load(order, stack, ledger)
            await _until_rest(stack, ledger)
        with _auditor(stack) as client:
            evidence = await asyncio.to_thread(collect, stack, client, ledger.pks)
    finally:
        await stack.stop()
        ledger.close()
    violations = judge(ledger.sent, evidence)
    if not ledger.acknowledged:
        violations.append(Violation("nothing done", "the run", "no command was acknowledged"))
    violations += [
        Violation("not recovered", fault.part, "not within a minute")
        for fault in faults
        if fault.recovered_s is None
    ]
    return Scorecard(
        seed=order.seed,
        seconds=time.monotonic() - began,
        ledger=ledger,
        faults=faults,
        evidence=evidence,
        violations=violations,
    )


async def _load(order: Order, stack: Stack, ledger: Ledger) -> list[Fault]:
    """Drive and break for as long as ordered."""
    driver = Driver(
        url=stack.url,
        settings=stack.settings,
        ledger=ledger,
        seed=order.seed,
        rate=order.rate,
    )
    nemesis = Nemesis(stack, probe=driver.start_probe, seed=order.seed, every_s=order.every_s)
    shown = asyncio.create_task(_show(order, ledger, nemesis))
    try:
        async with driver, asyncio.TaskGroup() as both:
            both.create_task(driver.run(order.seconds))
            both.create_task(nemesis.run(order.seconds))
    except ExceptionGroup as group:
        if found := group.subgroup(NotReady):
            raise found.exceptions[0] from group
        raise
    finally:
        shown.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await shown
    return nemesis.faults


async def _until_rest(stack: Stack, ledger: Ledger) -> None:
    """Wait until nothing is under way, or for as long as that may take."""
    until = time.monotonic() + REST_LIMIT_S
    while time.monotonic() < until:
        with (
            contextlib.suppress(redis.exceptions.RedisError),
            _auditor(stack) as client,
        ):
            if not await asyncio.to_thread(what_is_left, client, ledger.pks):
                return
        await asyncio.sleep(LOOK_S)


def _auditor(stack: Stack) -> "redis.Redis":
    return logins.connect(stack.settings, Role.AUDITOR)


@contextlib.asynccontextmanager
async def _kept(ledger: Ledger) -> AsyncIterator[None]:
    """Sync the ledger all the time."""
    keeping = asyncio.create_task(ledger.keep())
    try:
        yield
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def _show(order: Order, ledger: Ledger, nemesis: Nemesis) -> None:
    """Say how far it is: a bar on a terminal, else a line now and then."""
    is_terminal = sys.stderr.isatty()
    columns = [BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}")]
    bar = Progress(*columns, console=Console(stderr=True), disable=not is_terminal)
    began = said = time.monotonic()
    with bar:
        task = bar.add_task("", total=order.seconds)
        while True:
            now = time.monotonic()
            counts = f"{ledger.acknowledged:,} acknowledged, {len(nemesis.faults)} faults"
            bar.update(task, completed=now - began, description=counts)
            if not is_terminal and now - said > SAY_EVERY_S:
                said = now
                click.echo(f"{now - began:.0f} of {order.seconds:.0f} s: {counts}", err=True)
            await asyncio.sleep(LOOK_S)
