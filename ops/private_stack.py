"""Private stack: a system of a run's own, its processes, and how to hurt them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from ops.leash import leashed
from ops.preflight import free_port
from ops.settings import Settings, variable

#: Seconds for the system to be ready, and to end.
READY_LIMIT_S = 90.0
END_LIMIT_S = 60.0
#: Seconds between two looks.
LOOK_S = 0.01
#: Lines of its output that are kept, for when it does not start.
KEPT_LINES = 40
#: Bytes of it that are read at once: to read line by line was a twentieth of all that was measured.
CHUNK = 1 << 16


class NotReady(RuntimeError):  # noqa: N818 - says what it is
    """The system does not start; the message has its last words."""


class Stack:
    """`invigil up` on a data folder and a port of its own, with an embedded Redis."""

    def __init__(self, folder: Path, *, has_stand_by: bool = True, **given: object) -> None:
        """
        Say what it is to be; nothing is started yet.

        Args:
            has_stand_by: Whether a second dispatcher waits beside the first.
            given: Settings that are not the defaults, by their names.
        """
        self.settings = Settings(data=folder, redis_url=None, port=free_port("127.0.0.1"))
        self.url = f"http://127.0.0.1:{self.settings.port}"
        self.pids: dict[str, int] = {}
        self.ready_at: dict[str, float] = {}
        self._has_stand_by = has_stand_by
        self._given = given
        self._last: deque[bytes] = deque(maxlen=KEPT_LINES)
        self._up: asyncio.subprocess.Process | None = None
        self._stand_by: asyncio.subprocess.Process | None = None
        self._is_ready = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """
        Start it and wait until it is ready.

        Raises:
            NotReady: With its last words.
        """
        self._is_ready.clear()
        self._up = await self._spawn("up", stdout=subprocess.PIPE)
        self.pids["up"] = self._up.pid
        self._reading = asyncio.create_task(self._read(self._up))
        ready = asyncio.create_task(self._is_ready.wait())
        await asyncio.wait(
            {ready, self._reading}, timeout=READY_LIMIT_S, return_when="FIRST_COMPLETED"
        )
        if not ready.done():
            ready.cancel()
            await self.stop()
            raise NotReady(b"\n".join(self._last).decode(errors="replace"))
        if self._has_stand_by:
            await self.start_stand_by()

    async def start_stand_by(self) -> None:
        """Start a dispatcher that waits for the other one's end, unless it is there."""
        if self._stand_by is None or self._stand_by.returncode is not None:
            self._stand_by = await self._spawn("dispatcher", stdout=subprocess.DEVNULL)
            self.pids["stand-by"] = self._stand_by.pid

    async def wait_for_end(self) -> None:
        """Wait until `up` has ended, after it was killed."""
        assert self._up
        await self._up.wait()
        if self._reading:
            await self._reading

    async def stop(self) -> None:
        """End it in order."""
        for process in (self._stand_by, self._up):
            if process and process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), END_LIMIT_S)
                except TimeoutError:
                    process.kill()
                    await process.wait()
        if self._reading:
            await self._reading

    def child_of(self, part: str, choose: Callable[[list[int]], int]) -> int | None:
        """Find one process of a worker's pool (Linux)."""
        pid = self.pids[part]
        try:
            found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return None
        return choose([int(child) for child in found]) if found else None

    async def _spawn(self, command: str, *, stdout: int) -> asyncio.subprocess.Process:
        argv = (sys.executable, "-m", "ops.cli", command)
        return await asyncio.create_subprocess_exec(
            *leashed(argv, end_with=signal.SIGTERM),
            env=self._environment(part="stand-by" if command == "dispatcher" else None),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _environment(self, *, part: str | None) -> dict[str, str]:
        """Ours, without any setting of ours: only those of the run."""
        given = {
            variable("data"): str(self.settings.data),
            variable("port"): str(self.settings.port),
            variable("log_format"): "json",
            **{variable(name): str(value) for name, value in self._given.items()},
        }
        named = {"INVIGIL_PART": part} if part else {}
        return {**own_environment(), **given, **named}

    async def _read(self, up: asyncio.subprocess.Process) -> None:
        """Follow what `up` says of its parts, and once they are ready look at nothing else."""
        assert up.stdout
        rest = b""
        while chunk := await up.stdout.read(CHUNK):
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline and (not self._is_ready.is_set() or b'_ready"' in whole):
                self._follow(whole.split(b"\n"))
        if rest:
            self._follow([rest])

    def _follow(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if b'"part_ready"' in line or b'"up_ready"' in line:
                self._note(line)
            elif not line.startswith(b'{"ts"') or b'"up"' in line:
                self._last.append(line)

    def _note(self, line: bytes) -> None:
        said = json.loads(line)
        if said["event"] == "up_ready":
            self._is_ready.set()
        elif "pid" in said:
            self.pids[said["part"]] = said["pid"]
            self.ready_at[said["part"]] = time.time()


def own_environment(*more: str) -> dict[str, str]:
    """Our environment without any setting of ours, and without what begins with one of *more*."""
    strange = ("INVIGIL_", "REDIS_URL", *more)
    return {name: value for name, value in os.environ.items() if not name.startswith(strange)}


async def until(fact: Callable[[], bool]) -> None:
    """Return when it is true; whoever waits sets the limit."""
    while True:
        if fact():
            return
        await asyncio.sleep(LOOK_S)


def send_signal(pid: int, number: signal.Signals) -> bool:
    """Send a signal to a process; False when it has ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
