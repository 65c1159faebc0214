"""Breakable: a Redis for the tests that take it away."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ops.connect import UNAVAILABLE
from support import users
from support.waiting import wait_until


class Breakable:
    """A Redis of the test's own, which can be frozen, killed and started again."""

    def __init__(
        self, folder: Path, program: Path, *, env: Mapping[str, str] | None = None
    ) -> None:
        """Start it; *env* is added to its environment."""
        folder.mkdir()
        self.folder = folder
        self._env = {**os.environ, **(env or {})}
        self._program = program
        self.url = f"unix://{folder}/redis.sock"
        users.write(folder)
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        argv = [str(self._program), "--port", "0", "--unixsocket", f"{self.folder}/redis.sock"]
        argv += ["--dir", str(self.folder), "--appendonly", "yes", "--save", ""]
        argv += ["--aclfile", f"{self.folder}/users.acl"]
        self._process = subprocess.Popen(argv, env=self._env, stdout=subprocess.DEVNULL)
        try:
            wait_until(self.answers, saying="Redis answers")
        except AssertionError:
            self.kill()
            raise

    def answers(self) -> bool:
        """Whether it takes commands."""
        try:
            with users.admin(self.url) as client:
                return bool(client.ping())
        except UNAVAILABLE:
            return False

    def freeze(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()  # a frozen one, too
        self._process.wait()
