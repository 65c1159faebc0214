"""Log file: whole lines at the end of a file that several processes share, and its rotation."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ops.chain import ends

#: A line without an end is looked at again so often, with so many seconds between: Linux shows
#: the pages of one ``write`` one after the other, so another process' line may be half there.
LOOKS, LOOK_S = 100, 0.01
#: Seconds between two looks at the file's name and size: whoever writes rarely looks each time.
CHECK_S = 1.0
#: Chains that are told of again, at most, when a file with a line about them is removed.
MOST_TOLD = 10_000


class LogFile:
    """
    Append each line with one write.

    Several processes of one part share a file: with ``O_APPEND`` and one ``write`` per line, no
    line is torn by another's. What a full disk has torn ends where the next line begins.

    When the file is full, the process that notices gives it a name with the time, and all go on in
    a new one of the old name; a few lines may still follow in the old one. So neither is ever
    written to by two names, and none is compressed or removed while somebody has it open.
    """

    def __init__(self, path: Path, *, most_bytes: int) -> None:
        """
        Open the file, or make it.

        Raises:
            OSError: It cannot be opened.
        """
        self.path = path
        self._most_bytes = most_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = _open(path)
        self._looks = LOOKS  # before the first line: whoever wrote it before may have torn it
        self._check_at = 0.0

    def write(self, line: bytes) -> None:
        """
        Append *line* and its newline.

        Raises:
            OSError: It is not in the file, or not all of it.
        """
        torn = b"\n" if self._stays_torn() else b""
        self._looks = 1  # if this write fails
        rest = torn + line + b"\n"
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._looks = 0

    def turn(self) -> str | None:
        """
        Look, about once a second, whether another file has the name now, or this one is full.

        Returns:
            The name that the full file has got, when it was this process that gave it.

        Raises:
            OSError: The folder cannot be read or written; the file at hand can still be.
        """
        now = time.monotonic()
        if now < self._check_at:
            return None
        self._check_at = now + CHECK_S
        if not self._is_current():
            self._reopen()
        if os.fstat(self._descriptor).st_size < self._most_bytes:
            return None
        with _locked(self.path.parent):
            full = None
            if self._is_current():
                full = self.path.with_name(f"{self.path.stem}.{_stamp()}.jsonl")
                self.path.rename(full)
            self._reopen()
            return full.name if full else None

    def before(self) -> str | None:
        """Name of the file before this one; None when there is none."""
        older = older_files(self.path)
        return older[-1].name if older else None

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _is_current(self) -> bool:
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return False
        own = os.fstat(self._descriptor)
        return (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino)

    def _reopen(self) -> None:
        opened = _open(self.path)
        os.close(self._descriptor)
        self._descriptor = opened
        self._looks = LOOKS

    def _stays_torn(self) -> bool:
        """Whether the last line has no end, and is not just being written by another process."""
        for look in range(self._looks):
            time.sleep(LOOK_S if look else 0)
            if not self._is_torn():
                return False
        return self._looks > 0

    def _is_torn(self) -> bool:
        try:
            size = os.fstat(self._descriptor).st_size
            return size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        except OSError:  # no file to look back into, such as a pipe
            return False


def older_files(path: Path) -> list[Path]:
    """List the full files of the part whose file *path* is, the oldest first."""
    return sorted(path.parent.glob(f"{path.stem}.[0-9]*Z.jsonl"))


def remove_oldest(path: Path, *, keep: int) -> list[tuple[str, Mapping[str, tuple[int, str]]]]:
    """
    Remove the oldest of a part's full files until *keep* are left.

    Returns:
        For each its name, and the last line of each chain in it: number and hash. Also of those
        chains that a line in it tells of in the same way: this would else be forgotten with it,
        and who writes rarely may have no other line left.

    Raises:
        OSError: One could not be read or removed.
    """
    removed = []
    for old in older_files(path)[: -keep or None]:
        try:
            with old.open("rb") as file:
                last = _ends_in(file)
            old.unlink()
        except FileNotFoundError:  # another process was faster
            continue
        removed.append((old.name, last))
    return removed


def _ends_in(lines: Iterable[bytes]) -> Mapping[str, tuple[int, str]]:
    told: dict[str, tuple[int, str]] = {}

    def look(line: bytes) -> bytes:
        if b'"event": "log_removed"' in line:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                chains = json.loads(line)["chains"].items()
                told.update({name: (int(seq), str(head)) for name, (seq, head) in chains})
        return line

    own = ends(map(look, lines))
    return dict(list(told.items())[-MOST_TOLD:]) | dict(own)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one process at a time renames files of a folder; the kernel lets go when it dies."""
    descriptor = os.open(folder / ".rotating", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
