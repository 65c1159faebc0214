"""Lines: a body of many commands cut into its lines, and each line read as one command."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ingest.commands import ASKED, MAX_DATA_BYTES, Command, Label, parse
from ingest.faults import Fault, InvalidCommand, kind, of_validation
from ingest.strict_json import load_json
from ops import trace

#: Media type of a body with a JSON value in each line.
NDJSON = "application/x-ndjson"
#: Bytes of one line, without its newline: the longest data, and what stands around it.
MAX_LINE_BYTES = MAX_DATA_BYTES + 8_192
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


class NotJson(InvalidCommand):
    """A line that is no JSON, or that readers would not read alike."""


class Splitter:
    """
    Cuts what comes in pieces into lines, and holds no more than one line.

    Attributes:
        number: The line that is being read, from 1.
    """

    def __init__(self) -> None:
        self.number = 1
        self._held = bytearray()
        self._is_too_long = False

    def feed(self, data: bytes) -> Iterator[Line]:
        """Give the lines that *data* completes. Must be read to its end."""
        begin = 0
        while (end := data.find(b"\n", begin)) >= 0:
            self._hold(data[begin:end])
            begin = end + 1
            yield from self._close()
        self._hold(data[begin:])

    def end(self) -> Iterator[Line]:
        """Give the last line, where no newline ended it."""
        yield from self._close()

    def _hold(self, piece: bytes) -> None:
        self._is_too_long |= len(self._held) + len(piece) > MAX_LINE_BYTES
        if self._is_too_long:
            self._held.clear()
        else:
            self._held += piece

    def _close(self) -> Iterator[Line]:
        text = None if self._is_too_long else bytes(self._held)
        number = self.number
        self.number += 1
        self._held.clear()
        self._is_too_long = False
        if text is None or text.strip():
            yield Line(number, text)


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
