"""Small disk: a file system of the test's own, to be filled and made read-only."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import pytest

from support.waiting import wait_until

#: Bytes written at once when a disk is filled.
PAGE = 4096


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave no room, to the last page."""
        with self._filler.open("ab", buffering=0) as file:
            wait_until(lambda: _is_full(file), saying="the disk is full")

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def remount(self, how: str) -> None:
        """Make it ``ro`` or ``rw``; a file that somebody is just writing is waited for."""
        wait_until(
            lambda: _mount("-o", f"remount,{how}", str(self.folder)) == "",
            saying=f"remounted {how}",
        )


@contextmanager
def mounted(folder: Path, *, size: str) -> Iterator[SmallDisk]:
    """Mount a small disk at *folder*; skip where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    why = _mount("-t", "tmpfs", "-o", f"size={size}", "none", str(folder)) or ""
    if why:
        pytest.skip(f"a small disk cannot be mounted as user {os.getuid()}: {why}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _is_full(file: FileIO) -> bool:
    """Write page after page, until one does not fit."""
    try:
        while file.write(bytes(PAGE)) == PAGE:
            pass
    except OSError as error:
        return error.errno == errno.ENOSPC
    return False


def _mount(*arguments: str) -> str:
    """Mount; return what went wrong, empty when nothing did."""
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip() or ("" if done.returncode == 0 else f"mount: {done.returncode}")
