"""Replies: what is said to each line of a body, kept until the body has ended."""

import json
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

import msgspec

from ingest.answering import Unavailable

#: An answer to one line.
Said: TypeAlias = Mapping[str, object]

NO_ROOM = (
    "there is no room for the answers, so which commands were taken is not known here; the log "
    "has them; send the same lines again under ids of your own"
)

_fast = msgspec.json.Encoder().encode


class Spool(Protocol):
    """A file for the answers."""

    def write(self, data: bytes, /) -> int:
        """Add to its end."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, at most *size*."""

    def seek(self, offset: int, /) -> int:
        """Go to a place."""

    def tell(self) -> int:
        """Say where it is."""


class Replies:
    """
    The answers to one body, in a file.

    Both ways to add to them raise Unavailable where there is no room.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def add(self, answers: Iterable[Said]) -> None:
        """Write answers down, in their order."""
        self.keep(b"".join(map(line, answers)))

    def keep(self, lines: bytes) -> None:
        """Take answers that are written already."""
        try:
            self._spool.write(lines)
        except OSError as error:
            raise Unavailable(f"{type(error).__name__}: {error}", advice=NO_ROOM) from error


def line(said: Said) -> bytes:
    """Write an answer in ASCII: fast, where it holds texts and whole numbers of that alone."""
    text = b"" if "problem" in said else _fast(said)
    if not (text and text.isascii()):
        text = json.dumps(said, separators=(",", ":")).encode()
    return text + b"\n"
