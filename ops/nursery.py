"""
Nursery: a process that has imported what the parts import, and that they are forked from.

A part that is started anew would else import for most of a second, on a machine that is busy with
what waits meanwhile; after a crash of `up` six of them would at once. Linux only: a part has to be
`up`'s own child, whoever it was forked from, and only Linux hands orphans to who asks for them.

Source: https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
"""

import asyncio
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ops.leash import PR_SET_PDEATHSIG, leashed

PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
#: What the parts import. gevent's worker is none of them: it changes modules before they are used.
IMPORTED = (
    "tasks",
    "tasks.exam",
    "tasks.mail",
    "tasks.slow",
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.bin.beat",
    "celery.worker",
    "celery.worker.consumer",
    "celery.concurrency.prefork",
    "kombu.transport.redis",
    "dispatcher.loop",
    "ingest.gateway",
    "ops.cli",
    "ops.sink",
)
#: Bytes of a request: an environment, mostly.
MOST_BYTES = 1 << 17
READY = b"ready"
#: Seconds for it to import, for an answer, and for a new process to become `up`'s child.
READY_LIMIT_S = 30.0
ANSWER_LIMIT_S = 5.0
ADOPTED_LIMIT_S = 5.0
LOOK_S = 0.0005


class Away(OSError):  # noqa: N818 - says where it is
    """There is no nursery, or it does not answer: start the part on its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a process is to become; *argv* begins with ``python -m MODULE``."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    parent: int
    end_with: int


class Nursery:
    """The nursery, as `up` uses it."""

    def __init__(self, *, env: Mapping[str, str], cwd: Path) -> None:
        self._env = env
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._starting = asyncio.Lock()

    async def ready(self) -> None:
        """
        Start it, unless it is there, and wait until it has imported.

        Whether it could is seen when it is asked for a process.

        Raises:
            OSError: The machine does not give what a process needs.
        """
        async with self._starting:
            if self._process and self._process.poll() is None:
                return
            self.close()
            control = self._begin()
            control.settimeout(0)
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(READY_LIMIT_S):
                    await asyncio.get_running_loop().sock_recv(control, len(READY))
            control.settimeout(ANSWER_LIMIT_S)
            self._control = control

    def _begin(self) -> socket.socket:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "ops.nursery", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                leashed(command, end_with=signal.SIGKILL),
                env={**self._env, "INVIGIL_PART": "nursery"},
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        return control

    def bury(self, parts: Mapping[int, Callable[[], object]]) -> None:
        """
        Look after all who have died: who has lost its own parent is handed to `up`, too.

        Args:
            parts: Process id of each of `up`'s own, and what looks after it.
        """
        while dead := _somebody_dead():
            if dead in parts:  # since it was looked after last
                parts[dead]()
            elif self._process and self._process.pid == dead:
                self._process.poll()
            else:
                os.waitpid(dead, 0)

    @staticmethod
    def can_bear(argv: Sequence[str]) -> bool:
        """Whether a command is one that the nursery can become."""
        is_module = list(argv[:2]) == [sys.executable, "-m"] and len(argv) > 2
        return is_module and "gevent" not in argv

    def bear(self, request: Request, *, output: int) -> int:
        """
        Fork a process that becomes what is asked for; its output goes to a descriptor.

        Returns:
            Its process id. It is, or will be at once, a child of this process.

        Raises:
            Away: There is none, or it does not answer.
        """
        if self._control is None:
            raise Away("the nursery is not there")
        text = json.dumps(asdict(request)).encode()
        try:
            socket.send_fds(self._control, [text], [output])
            answer = self._control.recv(64)
        except OSError as error:
            self.close()
            raise Away(str(error)) from error
        if not answer:
            self.close()
            raise Away("the nursery has ended")
        return int(answer)

    def close(self) -> None:
        """End it; the processes that came from it live on."""
        if self._control:
            self._control.close()
            self._control = None
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


def serve(control: socket.socket) -> tuple[Request, int] | None:
    """
    Fork a process per request, until nobody asks any more.

    Returns:
        In a process that is to become a part what it is to become, and where its output goes; in
        the nursery itself None.
    """
    while True:
        text, descriptors, _, _ = socket.recv_fds(control, MOST_BYTES, 1)
        if not text:
            return None
        [output] = descriptors
        middle = os.fork()
        if middle:
            os.close(output)
            os.waitpid(middle, 0)
            continue
        child = os.fork()
        if child:  # its parent ends, and it is handed to `up`
            control.send(str(child).encode())
            os._exit(0)
        control.close()
        return Request(**json.loads(text)), output


def become(request: Request, output: int) -> None:
    """Be the part that was asked for."""
    _await_parent(request)
    os.setsid()
    _prctl(PR_SET_NAME, request.name.encode()[:15])
    for target, descriptor in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(descriptor, target)
        if descriptor > 2 and descriptor != output:
            os.close(descriptor)
    os.close(output)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):  # the old ones know another file
        stream = os.fdopen(descriptor, "w", buffering=1, closefd=False, errors="backslashreplace")
        setattr(sys, name, stream)
    os.environ.clear()
    os.environ.update(request.env)
    os.chdir(request.cwd)
    sys.argv = list(request.argv[2:])
    runpy.run_module(request.argv[2], run_name="__main__", alter_sys=True)


def _await_parent(request: Request) -> None:
    """Wait until this process is a child of `up`, and end with it from then on."""
    until = time.monotonic() + ADOPTED_LIMIT_S
    while os.getppid() != request.parent and time.monotonic() < until:
        time.sleep(LOOK_S)
    _prctl(PR_SET_PDEATHSIG, request.end_with)
    if os.getppid() != request.parent:
        sys.exit(f"process {request.parent} is gone, {request.name} is not started")


def _somebody_dead() -> int | None:
    """Name a child that has died and that nobody has waited for."""
    try:
        dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return dead.si_pid if dead else None


def _prctl(option: int, value: int | bytes) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main(control: int) -> None:
    """Import, and wait for who wants to be born."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # what is shared with the parts is left alone
    with socket.socket(fileno=control) as asked:
        asked.send(READY)
        found = serve(asked)
    if found:
        become(*found)


if __name__ == "__main__":
    main(int(sys.argv[1]))
