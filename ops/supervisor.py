"""Supervisor: start parts in order, start them again when they crash, end them in order."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from ops import lockfile, outage
from ops.events import Event
from ops.nursery import Nursery
from ops.part import Part, Running, Show
from ops.readiness import listening

#: Seconds in which each part must be ready, the first time.
READY_LIMIT_S = 60.0
#: Seconds to wait for a lock whose owner is just ending.
LOCK_LIMIT_S = 10.0
#: Seconds before a crashed part is started again: doubled each time, up to the longest, and from
#: the first again when the part lived long enough.
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
LONG_LIFE_S = 10.0
#: Seconds between two looks at a part that cannot say itself that it is ready.
POLL_S = 0.02
#: Seconds for the kernel to end a process that was killed.
KILLED_LIMIT_S = 5.0
#: Exit code of a part, and of `up`, whose settings are wrong: starting again does not help.
BAD_SETTINGS = 2
#: Exit code after a second Ctrl-C.
INTERRUPTED = 130

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class End:
    """Why everything ended: the exit code, and a sentence when it is not 0."""

    code: int
    reason: str = ""


class Supervisor:
    """Parts in stages: all parts of a stage are ready before the next stage starts."""

    def __init__(
        self,
        stages: Sequence[Sequence[Part]],
        *,
        ends: Sequence[Sequence[str]],
        show: Show,
        on_ready: Callable[[], None],
        ready_limit_s: float = READY_LIMIT_S,
        nursery: Nursery | None = None,
    ) -> None:
        """
        Take the parts as values; nothing is started yet.

        Args:
            stages: In the order of their start.
            ends: Names of all these parts, by the order of their end: those of a group together.
            show: Called with the part's name and each line it prints.
            on_ready: Called once, when all parts are ready for the first time.
            nursery: Where those parts come from that it can bear.

        Raises:
            ValueError: When a part has no place in the order of the end.
        """
        self._stages = stages
        self._ends = ends
        unnamed = {part.name for stage in stages for part in stage} - {
            name for names in ends for name in names
        }
        if unnamed:
            raise ValueError(f"no place in the order of the end for {', '.join(sorted(unnamed))}")
        self._show = show
        self._on_ready = on_ready
        self._ready_limit_s = ready_limit_s
        self._nursery = nursery
        self._ready = {part.name: asyncio.Event() for stage in stages for part in stage}
        self._running: dict[str, Running] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._end: asyncio.Future[End] = asyncio.Future()
        self._is_hard = False

    async def run(self) -> End:
        """
        Run all parts until a signal, or until one of them cannot be started.

        SIGINT, SIGTERM and SIGHUP end them in order; a second SIGINT or SIGTERM kills them. Runs
        in the main thread.
        """
        with self._signals(), listening(self._ready) as folder:
            self._watch(self._start(folder))
            try:
                end = await self._end
            finally:
                for task in self._tasks:
                    task.cancel()
                await self._stop()
                if self._nursery:
                    self._nursery.close()
        return End(INTERRUPTED, "killed by a second signal") if self._is_hard else end

    def stop(self, end: End) -> None:
        """End all parts in order, for this reason unless there is one already."""
        if not self._end.done():
            self._end.set_result(end)

    async def _start(self, folder: Path) -> None:
        for stage in self._stages:
            for part in stage:
                self._watch(self._keep(part, folder))
            late = await self._not_ready(stage)
            if late:
                names = ", ".join(f"{part.name} (see {part.log})" for part in late)
                self.stop(End(1, f"not ready after {self._ready_limit_s:.0f} s: {names}"))
                return
        self._on_ready()

    async def _not_ready(self, stage: Sequence[Part]) -> list[Part]:
        waits = [asyncio.create_task(self._ready[part.name].wait()) for part in stage]
        await asyncio.wait(waits, timeout=self._ready_limit_s)
        for wait in waits:
            wait.cancel()
        return [part for part in stage if not self._ready[part.name].is_set()]

    async def _keep(self, part: Part, folder: Path) -> None:
        """Run *part*, again and again."""
        pause_s = FIRST_PAUSE_S
        while True:
            running = await self._begin(part, folder)
            await running.exited.wait()
            if running.status == BAD_SETTINGS and not self._ready[part.name].is_set():
                self.stop(End(BAD_SETTINGS, f"{part.name} does not start with these settings"))
                return
            pause_s = FIRST_PAUSE_S if running.age_s > LONG_LIFE_S else pause_s
            log.error(
                Event.PART_EXITED,
                part=part.name,
                pid=running.pid,
                status=running.status,
                restart_in_s=pause_s,
                log=str(part.log),
            )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _begin(self, part: Part, folder: Path) -> Running:
        env = {"NOTIFY_SOCKET": str(folder / part.name)}
        deadline = time.monotonic() + LOCK_LIMIT_S
        while True:
            try:
                if self._nursery and self._nursery.can_bear(part.argv):
                    await self._nursery.ready(part.env)
                self._running[part.name] = Running(
                    part, env=env, show=self._show, nursery=self._nursery
                )
                break
            except lockfile.InUse as error:
                if time.monotonic() > deadline:
                    self.stop(End(1, str(error)))
                await asyncio.sleep(lockfile.POLL_S)
            except OSError as error:
                await asyncio.sleep(outage.DISK.went_on(error))
        outage.DISK.ended()
        if part.answers:
            self._watch(self._probe(self._running[part.name], part.answers))
        return self._running[part.name]

    async def _probe(self, running: Running, answers: Callable[[], bool]) -> None:
        while not running.exited.is_set():
            if answers():
                log.info(Event.PART_READY, part=running.part.name, pid=running.pid)
                self._ready[running.part.name].set()
                return
            await asyncio.sleep(POLL_S)

    async def _stop(self) -> None:
        for names in self._ends:
            living = [self._running[name] for name in names if self._lives(name)]
            if living:
                log.info(Event.PART_STOPPING, waiting_for=[one.part.name for one in living])
                await asyncio.gather(*(self._finish(running) for running in living))

    async def _finish(self, running: Running) -> None:
        running.terminate()
        if not await running.ends_within(running.part.grace_s):
            self._kill(running)
            await running.ends_within(KILLED_LIMIT_S)

    def _kill(self, running: Running) -> None:
        if not running.exited.is_set():
            log.warning(Event.PART_KILLED, part=running.part.name, pid=running.pid)
            running.kill()

    def _kill_all(self) -> None:
        loop = asyncio.get_running_loop()
        self._is_hard = True
        for running in self._running.values():
            if running.part.last_words_s and not running.exited.is_set():
                running.terminate()
                loop.call_later(running.part.last_words_s, self._kill, running)
            else:
                self._kill(running)

    def _lives(self, name: str) -> bool:
        return name in self._running and not self._running[name].exited.is_set()

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGCHLD:
            parts = {running.pid: running.check for running in self._running.values()}
            for check in parts.values():
                check()
            if self._nursery:
                self._nursery.bury(parts)
        elif not self._end.done():
            self.stop(End(0))
        elif number != signal.SIGHUP and not self._is_hard:  # a terminal that closes sends several
            self._kill_all()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup(1)
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)
                if number != signal.SIGCHLD:  # a late Ctrl-C must not spoil an end in order
                    signal.signal(number, signal.SIG_IGN)

    def _watch(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        task.add_done_callback(self._rise)
        self._tasks.append(task)

    def _rise(self, task: "asyncio.Task[None]") -> None:
        """Let a mistake of ours end everything in order, instead of hanging in silence."""
        error = None if task.cancelled() else task.exception()
        if error and not self._end.done():
            self._end.set_exception(error)
