"""Backlog: exams that were saved and whose row is still to be written, by name."""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

#: Bytes of a note's name, at most; the shortest limit in use is 143, eCryptfs'.
LONGEST = 140


class Backlog:
    """
    A folder of empty files, named ``<pk>~<mark>``, or by all words of a line that begins with the
    pk. A note of many exams has a line for each in it.

    Each note has a mark of its own: one that is made while the exam's file is read for another
    note stays, as the file may have been read too early for it. Nothing is synced: after a power
    cut the list is made from all files anyway.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, *lines: str) -> None:
        """
        Note exams, whose files are on the disk: of each its name, or a line that begins with it.

        Raises:
            OSError: The disk did not take it.
        """
        name, text = (lines[0], "") if len(lines) == 1 else ("", "\n".join(lines))
        mark = f"~{secrets.token_hex(8)}"
        if len(name) + len(mark) > LONGEST:
            name = name.partition(" ")[0]
        path = f"{self._folder}/{name.replace(' ', '~')}{mark}"
        try:
            _write(path, text)
        except FileNotFoundError:
            self._folder.mkdir(exist_ok=True)
            _write(path, text)

    def notes(self) -> list[str]:
        """List what was noted; nothing where nothing ever was, and no files of other people's."""
        try:
            return [path.name for path in self._folder.iterdir() if "~" in path.name]
        except FileNotFoundError:
            return []

    def lines_of(self, note: str) -> list[str]:
        """Give a note's lines: no pk has a ``~``. One that is gone was for somebody else."""
        name = note.rpartition("~")[0]
        if name:
            return [name.replace("~", " ")]
        with suppress(FileNotFoundError, UnicodeDecodeError):
            return (self._folder / note).read_text("ascii").splitlines()
        return []

    def remove(self, note: str) -> None:
        """Forget a note, if it is still there."""
        with suppress(FileNotFoundError):
            (self._folder / note).unlink()


def _write(path: str, text: str) -> None:
    """
    Write it; under another name first where there is something in it.

    Who reads that too early removes it: then there is nothing to be renamed, and it is seen here.
    """
    hidden = f"{path}.new" if text else path
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        if text and os.write(descriptor, text.encode("ascii")) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), hidden)
    finally:
        os.close(descriptor)
    if text:
        Path(hidden).rename(path)
