"""Backlog: exams that were saved and whose row is still to be written, by name."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


class Backlog:
    """
    A folder of empty files, named ``<pk>~<mark>``.

    Each note has a mark of its own: one that is made while the exam's file is read for another
    note stays, as the file may have been read too early for it. Nothing is synced: after a power
    cut the list is made from all files anyway.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, pk: str) -> None:
        """
        Note an exam, whose file is on the disk.

        Raises:
            OSError: The disk did not take it.
        """
        path = f"{self._folder}/{pk}~{secrets.token_hex(8)}"
        try:
            _touch(path)
        except FileNotFoundError:
            self._folder.mkdir(exist_ok=True)
            _touch(path)

    def notes(self) -> list[str]:
        """List what was noted; nothing where nothing ever was."""
        try:
            return [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []

    def remove(self, note: str) -> None:
        """Forget a note, if it is still there."""
        with suppress(FileNotFoundError):
            (self._folder / note).unlink()


def pk_of(note: str) -> str:
    """Name the exam of a note: no pk has a ``~``."""
    return note.partition("~")[0]


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640))
