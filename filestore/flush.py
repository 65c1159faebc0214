"""Flush: put all that a file system has been given on the disk in one go, where that is wise."""

import os
import re
from functools import cache
from pathlib import Path
from time import monotonic

from filestore import linux

#: Linux tells who calls syncfs(2) what could not be written since 5.8, and since 5.17 also what the
#: file system itself says of that. Before, nobody can build on it.
FIRST_KERNEL = (5, 17)
#: File systems that do it, and tell, as said; over a network or in layers it is another matter.
KINDS = frozenset({"ext4", "xfs"})
#: Seconds from which on it is not wise: others have much to write there, and are waited for too.
LONG_S = 0.5
#: For so many times as long as that took it is not tried again.
PAUSE = 50


class Flush:
    """One process' way to flush, and whether it has turned out to take long."""

    def __init__(self) -> None:
        self._not_before = 0.0

    def is_wise(self, folder: Path) -> bool:
        """Whether it is known to be safe for what lies in a folder, and was quick of late."""
        return monotonic() >= self._not_before and _is_safe(folder.stat().st_dev)

    def flush(self, descriptor: int) -> None:
        """
        Return when all that was written by anyone to the file system of *descriptor* is on the
        disk, names included.

        Args:
            descriptor: Opened before what matters was written: it is told of errors since then.

        Raises:
            OSError: Something is not on the disk; perhaps not ours.
        """
        began = monotonic()
        try:
            linux.syncfs(descriptor)
        finally:
            took_s = monotonic() - began
            if took_s > LONG_S:
                self._not_before = monotonic() + PAUSE * took_s


@cache
def _is_safe(device: int) -> bool:
    if not linux.has("syncfs"):
        return False
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if release is None or (int(release[1]), int(release[2])) < FIRST_KERNEL:
        return False
    return kind_of(device, Path("/proc/self/mountinfo")) in KINDS


def kind_of(device: int, table: Path) -> str | None:
    """
    Name the kind of the file system on a device; None where the kernel's table does not say.

    Source: proc_pid_mountinfo(5): field 3 is the device, the first behind a lone ``-`` the kind.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = table.read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        mount, _, system = line.partition(" - ")
        if mount.split(" ")[2:3] == [number]:
            return system.split(" ")[0]
    return None
