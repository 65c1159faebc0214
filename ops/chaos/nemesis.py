"""Nemesis: kills and freezes parts of a system, and sees how long each recovery takes."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from filestore.store import Store
from ops.private_stack import Stack, send_signal, until

#: Seconds for a recovery before it is given up as failed.
RECOVERY_LIMIT_S = 60.0
#: What is done to whom, and how often in proportion.
KILLS = {
    "worker-exam child": 5,
    "worker-exam": 4,
    "dispatcher": 4,
    "stand-by": 2,
    "gateway": 3,
    "redis": 2,
    "worker-slow": 2,
    "worker-mail": 1,
    "beat": 1,
    "sink": 1,
    "up": 2,
}
#: The same for freezing, with the seconds it lasts: longer than a lease, shorter than patience.
FREEZES = {"dispatcher": (2, 3.5), "worker-exam child": (1, 4.0), "redis": (1, 1.5)}
#: Parts that an exam needs: their recovery is seen by an exam's start.
ON_THE_WAY = {
    "worker-exam child",
    "worker-exam",
    "dispatcher",
    "stand-by",
    "gateway",
    "redis",
    "up",
}
#: Of those, the ones that are given time to recover before the next fault, so that the seconds
#: measured are theirs.
ALONE = {"worker-exam", "redis", "up"}

#: Sends an exam's start, and returns when it is acknowledged.
Probe = Callable[[str], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Fault:
    """
    What was done to a part.

    Attributes:
        at_s: Seconds since 1970.
        recovered_s: Seconds until the system worked again; None when it has not.
    """

    kind: str
    part: str
    at_s: float
    recovered_s: float | None = None


class Nemesis:
    """Does harm at a steady rate."""

    def __init__(self, stack: Stack, *, probe: Probe, seed: int, every_s: float) -> None:
        """
        Take whom to hurt.

        Args:
            every_s: Seconds between two faults, on average; 0: none.
        """
        self._stack = stack
        self._probe = probe
        self._rng = Random(f"nemesis {seed}")  # noqa: S311 - a plan, not a secret
        self._every_s = every_s
        self._store = Store(stack.settings.exams)
        self._watching: set[asyncio.Task[None]] = set()
        self.faults: list[Fault] = []

    async def run(self, seconds: float) -> None:
        """Do harm for so long, then wait until all has recovered."""
        end = time.monotonic() + seconds
        while self._every_s:
            pause_s = self._every_s * self._rng.uniform(0.5, 1.5)
            if time.monotonic() + pause_s > end:
                break
            await asyncio.sleep(pause_s)
            await self._strike()
        if self._watching:
            await asyncio.wait(self._watching)
        await self._stack.start_stand_by()

    async def _strike(self) -> None:
        choices = [("kill", part, weight) for part, weight in KILLS.items()]
        choices += [("freeze", part, weight) for part, (weight, _) in FREEZES.items()]
        [(kind, part, _)] = self._rng.choices(choices, weights=[weight for *_, weight in choices])
        pid = self._pid(part)
        if pid is None:
            return
        fault = Fault(kind=kind, part=part, at_s=time.time())
        number = signal.SIGKILL if kind == "kill" else signal.SIGSTOP
        if not send_signal(pid, number):
            return
        self.faults.append(fault)
        if kind == "freeze":
            await asyncio.sleep(FREEZES[part][1])
            send_signal(pid, signal.SIGCONT)
        if fault.part == "up":  # while it is dying, its parts may still answer
            await self._stack.wait_for_end()
        watch = asyncio.create_task(self._watch(fault))
        self._watching.add(watch)
        watch.add_done_callback(self._watching.discard)
        if kind == "kill":
            await self._mend(fault, watch)

    async def _mend(self, fault: Fault, watch: "asyncio.Task[None]") -> None:
        """Start again what nobody supervises, and leave the heavy ones alone for a while."""
        if fault.part == "up":
            await self._stack.start()
        if fault.part == "stand-by":
            await asyncio.sleep(self._every_s)
            await self._stack.start_stand_by()
        if fault.part in ALONE:
            await watch

    async def _watch(self, fault: Fault) -> None:
        try:
            async with asyncio.timeout(RECOVERY_LIMIT_S):
                if fault.part in ON_THE_WAY:
                    await self._until_applied(fault)
                else:
                    await self._until_ready(fault)
        except TimeoutError:
            return
        fault.recovered_s = time.time() - fault.at_s

    async def _until_applied(self, fault: Fault) -> None:
        pk = f"probe-{int(fault.at_s * 1000)}"
        await self._probe(pk)
        await until(lambda: self._store.exists(pk))

    async def _until_ready(self, fault: Fault) -> None:
        await until(lambda: self._stack.ready_at.get(fault.part, 0) > fault.at_s)

    def _pid(self, part: str) -> int | None:
        if part.endswith(" child"):
            return self._stack.child_of(part.removesuffix(" child"), self._rng.choice)
        return self._stack.pids.get(part)
