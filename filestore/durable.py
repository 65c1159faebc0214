"""Durable: put a file on the disk so that a crash at any moment leaves the old one or the new."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TypeVar

#: Seconds for one file from which on a disk is asked to take several at once: it can put all of
#: them down in one go. Where it takes less, threads cost more than they save.
SLOW_S = 0.001
#: How many it is asked for at once.
AT_ONCE = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """
    What is to be the content of *path*.

    Attributes:
        temporary: Where it is written first: in the same file system, and by nobody else meanwhile.
    """

    path: Path
    text: str
    temporary: Path

    def write(self) -> None:
        """Put the content on the disk, under the temporary name."""
        _write(self.temporary, self.text.encode())


def replace_file(path: Path, text: str, *, temporary: Path, mode: int | None = None) -> None:
    """
    Write *text* as *temporary*, sync it, rename it to *path*, and sync the folder.

    Both must lie in one file system, and one writer at a time may use *temporary*. On return the
    new content and its name are on the disk.

    Args:
        mode: Who may use the file, from the first byte on; None: as the process has it.

    Raises:
        OSError: The disk did not take it. A failed sync is never tried again on the same
            descriptor: the kernel has forgotten what it could not write.

    Source: https://lwn.net/Articles/457667/ on why both the file and its folder are synced.
    """
    try:
        if mode is not None:
            temporary.touch(mode)
            temporary.chmod(mode)  # of one that was left behind, too
        _write(temporary, text.encode())
        temporary.rename(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def replace_files(files: Sequence[NewFile]) -> None:
    """
    Replace several files, each as `replace_file` does, in less time than one after the other.

    Raises:
        OSError: The disk did not take one of them. Each is the old one or the new one, and a new
            one may not be safe yet.
    """
    try:
        _for_each(NewFile.write, files)
        for file in files:
            file.temporary.rename(file.path)
    except OSError:
        for file in files:
            with suppress(OSError):
                file.temporary.unlink(missing_ok=True)
        raise
    _for_each(sync_folder, {file.path.parent for file in files})


def sync_folder(folder: Path) -> None:
    """Put a folder's names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _for_each(act: Callable[[T], object], things: Iterable[T]) -> None:
    """Do something that the disk is waited for, one by one or, where that is slow, at once."""
    rest = list(things)
    while rest:
        began = monotonic()
        act(rest.pop())
        if monotonic() - began > SLOW_S and len(rest) > 1:
            doing = [_pool(os.getpid()).submit(act, thing) for thing in rest]
            wait(doing)  # all of them, also after an error: nothing may be written afterwards
            for done in doing:
                done.result()
            return


@cache
def _pool(_pid: int) -> ThreadPoolExecutor:
    """Threads of this process, once they are needed; a fork takes none along."""
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="disk")


def _write(path: Path, rest: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
