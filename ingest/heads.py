"""Heads: those of ordinary starts that were read before. The same bytes mean the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp.hdrs import CONTENT_LENGTH
from aiohttp.http import RawRequestMessage

#: What ends a head.
END = b"\r\n\r\n"
#: Heads that are remembered, and bytes of one, at most.
MOST, LONGEST = 256, 1_024


@dataclass(frozen=True, slots=True)
class Known:
    """
    What was read in a head.

    Attributes:
        shown: What it shows as keys, by `ingest.express.shown_keys`.
        length: Bytes of the body that it announces.
    """

    shown: Sequence[str]
    length: int


class Heads:
    """
    The heads of ordinary starts, as they came.

    A client that keeps its connection sends the same head with all its bodies of one length, and so
    does each client of its kind. Where a request begins is for the caller to know.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}

    def find(self, data: bytes) -> tuple[Sequence[str], bytes] | None:
        """Give what *data* shows as keys, and its body, if it is one whole request of a kind."""
        end = data.find(END) + len(END)
        known = self._known.get(data[:end])
        if known is None or len(data) != end + known.length:
            return None
        return known.shown, data[end:]

    def learn(self, data: bytes, shown: Sequence[str]) -> None:
        """Remember the head of *data*, which is one ordinary start and nothing else."""
        end = data.find(END) + len(END)
        if end > LONGEST:
            return
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[data[:end]] = Known(shown, len(data) - end)


def is_whole(data: bytes, head: RawRequestMessage) -> bool:
    """
    Whether *data*, of which a parser at its beginning has read *head*, is that request to its end.

    A head with empty lines before it, or with lines that end in another way than RFC 9112 says, is
    not measured: a parser may see its end elsewhere.
    """
    at = data.find(END)
    if at < 0 or data[0] <= ord(" ") or head.chunked or head.upgrade:
        return False
    end = at + len(END)
    lines = data.count(b"\n", 0, end)
    length = int(head.headers.get(CONTENT_LENGTH, "0"))
    return end + length == len(data) and lines == data.count(b"\r\n", 0, end)
