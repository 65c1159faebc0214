"""Linux: two calls of its C library that Python does not have, where they are there."""

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path

#: Of renameat2(2): names are as the process sees them; swap the two.
AT_FDCWD, RENAME_EXCHANGE = -100, 2
#: What says that a file system cannot do it, or that a container may not.
CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})


@cache
def library() -> ctypes.CDLL | None:
    """Find the C library; None elsewhere."""
    try:
        return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    except OSError:
        return None


def has(call: str) -> bool:
    """Whether there is such a call."""
    return hasattr(library(), call)


def syncfs(descriptor: int) -> None:
    """
    Put all of a file system on the disk.

    Raises:
        OSError: What the kernel says.

    Source: https://man7.org/linux/man-pages/man2/syncfs.2.html
    """
    found = library()
    if found is None or found.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def exchange(one: Path | str, other: Path | str) -> bool:
    """
    Let two files swap their names, in one step; False where that cannot be done.

    Raises:
        OSError: What else the kernel says.

    Source: https://man7.org/linux/man-pages/man2/rename.2.html
    """
    found = library()
    if found is None or not has("renameat2"):
        return False
    if not found.renameat2(
        AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE
    ):
        return True
    number = ctypes.get_errno()
    if number in CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))
