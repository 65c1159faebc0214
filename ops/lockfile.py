"""Lockfile: one owner of a folder, for as long as a process holds its descriptor."""

import fcntl
import os
import time
from pathlib import Path

#: Seconds between two tries for a lock that somebody else still holds.
POLL_S = 0.05


class InUse(RuntimeError):  # noqa: N818 - reads as what was found
    """Another process holds the lock; the message is the line to show."""


def take(path: Path, *, folder: Path, owner: str = "", wait_s: float = 0) -> int:
    """
    Lock the file at *path*, and make it if it is missing.

    Args:
        folder: The data folder, for the message.
        owner: What holds such a lock, for the message: ``'"up", '``.
        wait_s: Seconds to try again, for an owner that is just ending.

    Returns:
        A descriptor. The lock lives until this process and every one that inherited it end.

    Raises:
        InUse: When somebody else holds the lock; it names the process.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    while not _lock(descriptor):
        if time.monotonic() >= deadline:
            pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise InUse(f"the data folder {folder} is in use by {owner}process {pid}")
        time.sleep(POLL_S)
    return descriptor


def sign(descriptor: int, *, pid: int) -> None:
    """Write into a lock file whom the next one finds as its owner."""
    text = f"{pid}\n".encode()
    os.pwrite(descriptor, text, 0)  # before it is cut: a full disk has room where one was already
    os.ftruncate(descriptor, len(text))


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
