"""
Nursery: where `up` has its parts come from, forked from a process that has imported already.

A part that is started anew would else import for most of a second, on a machine that is busy with
what waits meanwhile; after a crash of `up` six of them would at once. Linux only: a part has to be
`up`'s own child, whoever it was forked from, and only Linux hands orphans to who asks for them.

Source: https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ops.leash import leashed, prctl
from ops.settings import without_settings

PR_SET_CHILD_SUBREAPER = 36
#: Folder of the packages that the parts import.
ROOT = Path(__file__).absolute().parents[1]
#: Bytes of a request: an environment, mostly.
MOST_BYTES = 1 << 17
READY = b"ready"
#: Seconds for it to import, and for an answer.
READY_LIMIT_S = 30.0
ANSWER_LIMIT_S = 5.0


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
    """The process that parts are forked from, as `up` uses it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._is_ready = False
        self._getting_ready = asyncio.Lock()

    @classmethod
    def early(cls) -> "Nursery | None":
        """
        Start one before there is anything to run: it imports while the caller does.

        Returns:
            None where there can be none. Whether it could start is seen when it has to be ready.
        """
        if sys.platform != "linux":
            return None
        nursery = cls()
        with contextlib.suppress(OSError):
            nursery._begin()
        return nursery

    async def ready(self, env: Mapping[str, str]) -> None:
        """
        Wait until it has imported what the first parts need; start it, unless it is there.

        Whether it could is seen when it is asked for a process.

        Args:
            env: Environment of the parts, which some modules look at when they are imported.

        Raises:
            OSError: The machine does not give what a process needs.
        """
        async with self._getting_ready:
            if not self._process or self._process.poll() is not None:
                self.close()
                self._begin()
            if self._is_ready:
                return
            assert self._control
            loop = asyncio.get_running_loop()
            self._control.settimeout(0)
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(READY_LIMIT_S):
                    await loop.sock_sendall(self._control, json.dumps(dict(env)).encode())
                    await loop.sock_recv(self._control, len(READY))
            self._control.settimeout(ANSWER_LIMIT_S)
            self._is_ready = True

    def _begin(self) -> None:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "ops.fork_server", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                leashed(command, end_with=signal.SIGKILL),
                env={**with_packages(without_settings(os.environ)), "INVIGIL_PART": "nursery"},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        self._control = control

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
        """Whether a command is one that can be forked; gevent's worker changes modules first."""
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
        self._is_ready = False
        if self._control:
            self._control.close()
            self._control = None
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


def with_packages(env: Mapping[str, str]) -> dict[str, str]:
    """Add to an environment where our packages are, unless they are installed."""
    if ROOT in {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}:
        return dict(env)
    others = env.get("PYTHONPATH")
    return {**env, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), others)))}


def _somebody_dead() -> int | None:
    """Name a child that has died and that nobody has waited for."""
    try:
        dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return dead.si_pid if dead else None
