"""Lock: an exam's own, against every thread, process and host that shares the disk."""

import fcntl
import os
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

#: Seconds to wait for an exam's lock. Its holder needs milliseconds, unless it was stopped.
LOCK_WAIT_S = 10.0
#: Seconds between two tries: the first, and the longest.
FIRST_TRY_S = 0.001
LONGEST_TRY_S = 0.02


class Locked(TimeoutError):  # noqa: N818 - says what the exam is
    """Another process holds the exam's lock for longer than anyone should."""


@contextmanager
def held(file: Path, pk: str, *, wait_s: float) -> Iterator[None]:
    """
    Hold an exam's byte of the lock file. The kernel lets go of it when the holder dies.

    Raises:
        Locked: Somebody else holds it for longer than *wait_s* seconds.
    """
    with _opened(file) as descriptor:
        _wait(descriptor, _offset(pk), pk=pk, wait_s=wait_s)
        yield


@contextmanager
def held_together(file: Path, pks: Iterable[str]) -> Iterator[list[str]]:
    """
    Hold the bytes of all those exams that nobody else holds, and yield their names.

    Nobody is waited for: two who hold some and wait for others could wait for each other.
    """
    with _opened(file) as descriptor:
        yield [pk for pk in pks if _try(descriptor, _offset(pk))]


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _offset(pk: str) -> int:
    """Byte of the lock file that stands for an exam. Two that share one wait for each other."""
    return int.from_bytes(sha256(pk.encode()).digest()[:7])


def _wait(descriptor: int, offset: int, *, pk: str, wait_s: float) -> None:
    """Try again and again rather than block, so that green threads take turns too."""
    until = time.monotonic() + wait_s
    pause_s = FIRST_TRY_S
    while not _try(descriptor, offset):
        if time.monotonic() >= until:
            raise Locked(f"exam {pk} has been locked by another process for {wait_s:g} s")
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_TRY_S)


def _try(descriptor: int, offset: int) -> bool:
    try:
        if sys.platform == "linux":
            # Open file description locks: they belong to the descriptor, so threads exclude
            # each other, and closing another descriptor of the file does not drop them.
            lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, offset, 1, 0)
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
        else:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
    except (BlockingIOError, PermissionError):
        return False
    return True
