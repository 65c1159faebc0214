"""Watch: when each exam's document got its name, as the kernel tells it (Linux)."""

import ctypes
import os
import struct
import sys
import threading
import time
from pathlib import Path

from ops.bench.tools import CannotMeasure

#: Told of: a file that has got a name in a folder, as its first one or by a rename. A document gets
#: its name when it is whole. Source: inotify(7).
MOVED_TO, CREATE = 0x80, 0x100
#: What stands before each name: watch, mask, cookie, length of the name.
HEAD = struct.Struct("iIII")
SUFFIX = b".json"
#: Seconds between two looks.
LOOK_S = 0.01
#: Seconds until it is asked again what was seen: were each of thousands a second told alone, that
#: would take time from what is measured. Those that come one by one are told at once.
REST_S = 0.001


class Watch:
    """
    Names of exams, and when their documents came to lie in place.

    Attributes:
        seen: Each time that a document got its name: seconds of `time.monotonic`, and the exam's.
    """

    def __init__(self, root: Path) -> None:
        """
        Begin to watch all folders of a store.

        Raises:
            CannotMeasure: This machine does not tell.
        """
        if sys.platform != "linux":
            raise CannotMeasure("when a file is seen is told by inotify, which is Linux only")
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_CLOEXEC)
        for folder in root.glob("[0-9a-f][0-9a-f]"):
            if libc.inotify_add_watch(self._descriptor, bytes(folder), MOVED_TO | CREATE) < 0:
                raise CannotMeasure(f"inotify: {os.strerror(ctypes.get_errno())}")
        self.seen: list[tuple[float, str]] = []
        self._thread = threading.Thread(target=self._read_on, daemon=True)
        self._thread.start()

    def wait(self, count: int, *, limit_s: float) -> None:
        """
        Wait until so many were seen in all.

        Raises:
            CannotMeasure: They were not.
        """
        until = time.monotonic() + limit_s
        while len(self.seen) < count:
            if time.monotonic() > until:
                raise CannotMeasure(f"{count - len(self.seen):,} documents did not come")
            time.sleep(LOOK_S)

    def times(self, *, since: int = 0) -> dict[str, float]:
        """Tell when each exam was first seen behind so many others."""
        found: dict[str, float] = {}
        for at, name in self.seen[since:]:
            found.setdefault(name, at)
        return found

    def _read_on(self) -> None:
        while True:
            data = os.read(self._descriptor, 1 << 16)
            now, at = time.monotonic(), 0
            while at < len(data):
                *_, length = HEAD.unpack_from(data, at)
                at += HEAD.size + length
                name = data[at - length : at].rstrip(b"\0")
                if name.endswith(SUFFIX):
                    self.seen.append((now, name.removesuffix(SUFFIX).decode()))
            time.sleep(REST_S)
