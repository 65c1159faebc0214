"""Durable: put a file on the disk so that a crash at any moment leaves the old one or the new."""

import os
from contextlib import suppress
from pathlib import Path


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


def sync_folder(folder: Path) -> None:
    """Put a folder's names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, rest: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
