"""Spares: files that nobody needs any more, kept for the next ones that are to be made."""

import os
import secrets
import stat
from collections import deque
from contextlib import suppress
from itertools import islice
from pathlib import Path
from time import monotonic

#: Seconds for which one is left alone: who opened it when it was a document may still read it.
GRACE_S = 120.0
#: Spares that one process knows of at most; and looks at when it knows of none, and how often.
MOST, SOME, LOOK_S = 20_000, 1_000, 10.0


class Spares:
    """
    A folder of files, from which a new file is made by giving one another name.

    Each result of an exam would free two files. ext4 gives a freed one to nobody for minutes, and
    walks over all of them whenever a file is made: after some thousand results a document took four
    times as long.

    After a power cut a file may have its new name and its old one. So a spare is taken only in the
    start of the machine in which it was given: its name says which, and when that was.

    Args:
        boot: Names this start of the machine.
    """

    def __init__(self, folder: Path, *, boot: str) -> None:
        self._folder = str(folder)
        self._boot = boot
        self._own = secrets.token_hex(6)
        self._count = 0
        self._names: deque[tuple[float, str]] = deque()
        self._looked = float("-inf")

    def prepare(self) -> None:
        """
        Make the folder, and remove what is of another start of the machine.

        Raises:
            OSError: The disk did not do it.
        """
        Path(self._folder).mkdir(exist_ok=True)
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if _given_s(entry.name, boot=self._boot) is None:
                    Path(entry.path).unlink(missing_ok=True)

    def take(self, path: Path | str) -> bool:
        """Give a spare the name *path*; what stands in it is old. False when there is none."""
        now = monotonic()
        if not self._names and now - self._looked >= LOOK_S:
            self._look(now)
        while self._names and now - self._names[0][0] >= GRACE_S:
            spare = f"{self._folder}/{self._names.popleft()[1]}"
            with suppress(OSError):  # somebody else was faster; or it is not to be had
                if not _is_plain(spare):
                    continue
                os.rename(spare, path)  # noqa: PTH104 - a third of what Path takes
                if os.lstat(path).st_nlink == 1:
                    return True
                os.unlink(path)  # noqa: PTH108 - a backup has it, or it was set aside: it stays as it is
        return False

    def give(self, path: Path | str) -> None:
        """
        Keep a file that is not needed any more, or remove it; if there is none, that is well.

        Raises:
            OSError: The disk did neither.
        """
        if len(self._names) >= MOST:
            Path(path).unlink(missing_ok=True)
            return
        now = monotonic()
        self._count += 1
        name = f"{self._boot}.{now:.0f}.{self._own}-{os.getpid():x}-{self._count:x}"
        try:
            os.rename(path, f"{self._folder}/{name}")  # noqa: PTH104 - a third of what Path takes
        except OSError:
            Path(path).unlink(missing_ok=True)  # it is not there; or the folder is not, or not ours
        else:
            self._names.append((now, name))

    def _look(self, now: float) -> None:
        """Find some that processes have left which have ended."""
        self._looked = now
        with suppress(OSError), os.scandir(self._folder) as entries:
            names = [entry.name for entry in islice(entries, SOME)]
            found = ((_given_s(name, boot=self._boot), name) for name in names)
            self._names.extend(sorted((at, name) for at, name in found if at is not None))


def _is_plain(path: str) -> bool:
    """Whether it is a file as we make them: nobody else's, and for nobody else to write to."""
    seen = os.lstat(path)
    is_ours = stat.S_ISREG(seen.st_mode) and seen.st_uid == os.geteuid()
    return is_ours and not stat.S_IMODE(seen.st_mode) & ~0o640


def _given_s(name: str, *, boot: str) -> float | None:
    """Read when a spare was given, on the clock of this start of the machine; None: in another."""
    whose, _, rest = name.partition(".")
    seconds = rest.partition(".")[0]
    return float(seconds) if whose == boot and seconds.isdecimal() else None
