"""Part: what `up` runs as one process, and such a process while it runs."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ops import lockfile
from ops.leash import leashed
from ops.nursery import Away, Nursery, Request

#: Bytes read from a pipe at once, and the length at which a line that does not end is cut.
CHUNK = 1 << 16
LONGEST_LINE = 1 << 22
#: Seconds, at most, in which what a process leaves behind may still write: who is killed may be in
#: the middle of a line, or have said in its last one which others have ended.
LAST_LINES_S = 2.0

Show = Callable[[str, Sequence[bytes]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """
    One process of the stack, as a value.

    Attributes:
        env: The whole environment, except ``NOTIFY_SOCKET``.
        log: File to look into when the part does not start.
        grace_s: Seconds between SIGTERM and SIGKILL.
        last_words_s: Seconds between the two when it has to be quick.
        parent_death: Signal it gets when `up` itself is killed (Linux).
        take_lock: Lock to hold while it runs; the process inherits the descriptor.
        answers: How to see that it is ready; without: it says so at ``NOTIFY_SOCKET``.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    grace_s: float
    last_words_s: float = 0
    parent_death: signal.Signals = signal.SIGKILL
    take_lock: Callable[[], int] | None = None
    answers: Callable[[], bool] | None = None


class Born:
    """A process that came from the nursery, with what `subprocess.Popen` offers of it."""

    def __init__(self, pid: int, stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Look whether it has ended."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # not handed to us yet, or gone before it could be
                return None if _lives(self.pid) else self._gone()
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _gone(self) -> int:
        self.returncode = -signal.SIGKILL
        return self.returncode


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Running:
    """One process of a part: its output by line, its end, and the signals for it."""

    def __init__(
        self, part: Part, *, env: Mapping[str, str], show: Show, nursery: Nursery | None = None
    ) -> None:
        """
        Start the process, in a session of its own: the terminal's Ctrl-C does not reach it.

        Raises:
            lockfile.InUse: When the part's lock is held by somebody else.
            OSError: When the disk, or the machine, does not give what a process needs.
        """
        self.part = part
        self.began = time.monotonic()
        self.exited = asyncio.Event()
        self._show = show
        self._rest = b""
        self._end_late: asyncio.TimerHandle | None = None
        lock = part.take_lock() if part.take_lock else None
        self._process: subprocess.Popen[bytes] | Born
        try:
            born = _bear(part, env, nursery) if nursery and not lock else None
            self._process = born or _start(part, env, lock)
            if lock is not None:
                with contextlib.suppress(OSError):  # a disk that is full; the name is for people
                    lockfile.sign(lock, pid=self._process.pid)
        finally:
            if lock is not None:
                os.close(lock)
        assert self._process.stdout
        self._pipe = self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)
        asyncio.get_running_loop().add_reader(self._pipe, self._read)

    @property
    def pid(self) -> int:
        """Process id, which is also that of its group and session."""
        return self._process.pid

    @property
    def status(self) -> int | str:
        """How it ended: exit code, or the signal's name."""
        code = self._process.returncode
        assert code is not None
        return code if code >= 0 else signal.Signals(-code).name

    @property
    def age_s(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.began

    def check(self) -> None:
        """Look whether the process has ended; if so, end its group, and read on until all are."""
        if self._end_late or self._process.poll() is None:
            return
        self._signal_group(signal.SIGKILL)
        self._end_late = asyncio.get_running_loop().call_later(LAST_LINES_S, self._end)
        while not self.exited.is_set() and self._read():
            pass

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all processes of its group at once."""
        if not self.exited.is_set():
            self._signal_group(signal.SIGKILL)

    async def ends_within(self, seconds: float) -> bool:
        """Wait for its end; say whether it came."""
        try:
            await asyncio.wait_for(self.exited.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _read(self) -> bool:
        try:
            chunk = os.read(self._pipe, CHUNK)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if lines:
            self._show(self.part.name, lines)
        if not chunk or len(self._rest) > LONGEST_LINE:
            self._flush()
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._pipe)
            if self._end_late:  # else the process has closed it, and lives
                self._end()
        return bool(chunk)

    def _flush(self) -> None:
        if self._rest:
            self._show(self.part.name, [self._rest])
        self._rest = b""

    def _end(self) -> None:
        """Let go of the pipe: nobody is left who writes to it, or who does has had its time."""
        assert self._end_late
        self._end_late.cancel()
        self._flush()
        asyncio.get_running_loop().remove_reader(self._pipe)
        if self._process.stdout:
            self._process.stdout.close()
        self.exited.set()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
            os.killpg(self.pid, number)


def _start(part: Part, env: Mapping[str, str], lock: int | None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        leashed(part.argv, end_with=part.parent_death),
        env={**part.env, **env},
        cwd=part.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=(lock,) if lock is not None else (),
    )


def _bear(part: Part, env: Mapping[str, str], nursery: Nursery) -> Born | None:
    """Let the nursery become the part; None when it cannot: then it is started on its own."""
    if not nursery.can_bear(part.argv):
        return None
    reading, writing = os.pipe()
    try:
        pid = nursery.bear(
            Request(
                name=part.name,
                argv=part.argv,
                env={**part.env, **env},
                cwd=str(part.cwd),
                parent=os.getpid(),
                end_with=int(part.parent_death),
            ),
            output=writing,
        )
    except Away:
        os.close(reading)
        return None
    finally:
        os.close(writing)
    return Born(pid, os.fdopen(reading, "rb", buffering=0))
