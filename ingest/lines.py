"""Lines: a body of many commands cut into its lines, and each line read as one command."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ingest.commands import ASKED, MAX_DATA_BYTES, Command, Label, parse
from ingest.faults import Fault, InvalidCommand, kind, of_validation
from ingest.strict_json import load_json
from ops import trace
from ops.portions import portions

#: Media type of a body with a JSON value in each line.
NDJSON = "application/x-ndjson"
#: Bytes of one line, without its newline: the longest data, and what stands around it.
MAX_LINE_BYTES = MAX_DATA_BYTES + 8_192
#: Lines whose commands go out in one pipeline. More of them save little, and hold up others.
CHUNK = 1000
#: What only the dispatcher sends: here it could not be told from a forged one.
NOT_OURS = "exam.expire"


class Given(BaseModel):
    """One line, by the names of the stream's fields. Others are ignored, as they are there."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    type: str
    data: Any
    id: Label | None = None
    source: Label | None = None
    traceparent: Any = None


@dataclass(frozen=True, slots=True)
class Line:
    """
    A line that is not blank.

    Attributes:
        number: Its place in the body, from 1; blank lines count.
        text: Without the newline; None when it has more than `MAX_LINE_BYTES`.
    """

    number: int
    text: bytes | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    Lines that follow each other.

    Attributes:
        number: Of the first one.
        texts: Each without its newline, blank ones too; None for one that is too long.
    """

    number: int
    texts: Sequence[bytes | None]

    @property
    def count(self) -> int:
        """How many have more than the end of a line."""
        return len(self.texts) - self.texts.count(b"") - self.texts.count(b"\r")

    def lines(self) -> list[Line]:
        """List those that are not blank."""
        return [
            Line(number, text)
            for number, text in enumerate(self.texts, self.number)
            if text is None or text.strip()
        ]


class NotJson(InvalidCommand):
    """A line that is no JSON, or that readers would not read alike."""


class Splitter:
    """
    Cuts what comes in pieces into chunks of lines, and holds no more than one line.

    Attributes:
        number: The first line, from 1, that nobody has dealt with.
    """

    def __init__(self, *, most: int = CHUNK) -> None:
        """Take how many lines a chunk may have."""
        self.number = 1
        self._most = most
        self._held = bytearray()
        self._is_too_long = False

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """
        Give the lines that *data* completes. Must be read to its end.

        Whoever asks for the next chunk has dealt with this one.
        """
        first, *more = data.split(b"\n")
        self._hold(first)
        if more:
            *whole, rest = more
            yield from self._chunks([self._take(), *map(_checked, whole)])
            self._hold(rest)

    def end(self) -> Iterator[Chunk]:
        """Give the last line, where no newline ended it."""
        yield from self._chunks([self._take()])

    def _chunks(self, texts: Sequence[bytes | None]) -> Iterator[Chunk]:
        for some in portions(texts, self._most):
            yield Chunk(self.number, some)
            self.number += len(some)

    def _hold(self, piece: bytes) -> None:
        self._is_too_long |= len(self._held) + len(piece) > MAX_LINE_BYTES
        if self._is_too_long:
            self._held.clear()
        else:
            self._held += piece

    def _take(self) -> bytes | None:
        text = None if self._is_too_long else bytes(self._held)
        self._held.clear()
        self._is_too_long = False
        return text


def _checked(text: bytes) -> bytes | None:
    return text if len(text) <= MAX_LINE_BYTES else None


def read(text: bytes) -> Command:
    """
    Read a line as a command. Its id, source and trace are None where it gives none.

    Raises:
        NotJson: It is no JSON, has a key twice, or is not UTF-8.
        InvalidCommand: It is JSON, and no command that a producer may send.
    """
    try:
        values = load_json(text, called="line")
    except InvalidCommand as error:
        raise NotJson(*error.faults) from None
    if not isinstance(values, dict):
        raise InvalidCommand(Fault("line", f"must be a JSON object, not {kind(values)}"))
    try:
        given = Given.model_validate(values)
    except ValidationError as error:
        raise InvalidCommand(*of_validation(error, asked=ASKED)) from None
    if given.type == NOT_OURS:
        raise InvalidCommand(Fault("type", f"{NOT_OURS} is written by the dispatcher only"))
    traced = trace.parse(given.traceparent) if isinstance(given.traceparent, str) else None
    data = parse(given.type, given.data)
    return Command(data=data, id=given.id, source=given.source, trace=traced)
