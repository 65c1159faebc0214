"""Commands: the contract of the stream. Pydantic models, one codec, used by every door."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from filestore.name import PATTERN
from ingest.faults import Fault, InvalidCommand, kind, of_validation, shorten
from ingest.strict_json import load_json
from ops import trace
from ops.settings import MAX_DURATION_S, MAX_ECHO_DELAY_S
from ops.trace import Trace

#: Bytes of one command's ``data``. The longest text fits four times; a megabyte does not.
MAX_DATA_BYTES = 65_536
#: Characters of a text to echo.
MAX_TEXT = 10_000
#: Characters of a producer's own id and name.
MAX_ID = 200
#: Milliseconds. The end of the year 9999: the last moment that ISO 8601 writes with four digits.
MAX_MOMENT_MS = 253_402_300_799_999

#: What a pk is made of, so that it can be the name of a file.
PK_PATTERN = rf"^{PATTERN}\z"
LABEL_PATTERN = r"^\P{Cc}*\z"
#: What the patterns ask for, in words.
ASKED = {
    PK_PATTERN: "must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit",
    LABEL_PATTERN: "must be without control characters",
}

Pk = Annotated[str, StringConstraints(pattern=PK_PATTERN)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID, pattern=LABEL_PATTERN)]


class _Data(BaseModel):
    """Data of a command: exact types, and a misspelled field is an error rather than ignored."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ExamStart(_Data):
    """Open an exam; its clock starts with the command's arrival on the stream."""

    pk: Pk
    duration: int | None = Field(
        None, ge=1, le=MAX_DURATION_S, description="seconds, without a point"
    )


class ExamFinish(_Data):
    """Report the result of an exam."""

    pk: Pk
    status: Literal["pass", "fail"]


class ExamExpire(_Data):
    """Say that an exam's deadline has passed. The dispatcher writes it; a forged one is judged."""

    pk: Pk
    deadline: int = Field(ge=0, le=MAX_MOMENT_MS, description="milliseconds, on Redis' clock")


class Echo(_Data):
    """Print a text after a delay."""

    text: str = Field(max_length=MAX_TEXT)
    delay: float | None = Field(
        None, ge=0, le=MAX_ECHO_DELAY_S, allow_inf_nan=False, description="seconds"
    )


Data: TypeAlias = ExamStart | ExamFinish | ExamExpire | Echo

#: The closed list of command types.
TYPES: Mapping[str, type[Data]] = {
    "exam.start": ExamStart,
    "exam.finish": ExamFinish,
    "exam.expire": ExamExpire,
    "echo": Echo,
}
_dump = msgspec.json.Encoder().encode
_NAMES = {model: name for name, model in TYPES.items()}


class Envelope(BaseModel):
    """What surrounds the data in a stream entry, by the names of CloudEvents."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    type: str
    data: bytes
    id: Label | None = None
    source: Label | None = None


#: The names of the envelope, as they lie in the stream; and that of the trace.
_FIELDS = {name.encode(): name for name in Envelope.model_fields}
_TRACE = trace.NAME.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """
    One request to move one exam or to echo a text.

    Attributes:
        trace: What its sender gave; an entry without one has a trace derived from its id.
    """

    data: Data
    id: str | None = None
    source: str | None = None
    trace: Trace | None = None

    @property
    def type(self) -> str:
        """Name of the command on the wire."""
        return _NAMES[type(self.data)]


def encode(command: Command) -> dict[str, str]:
    """Make the fields of a stream entry; what was not given is left out."""
    data = {name: value for name, value in vars(command.data).items() if value is not None}
    fields = {"type": command.type, "data": _dump(data).decode()}
    if command.id is not None:
        fields["id"] = command.id
    if command.source is not None:
        fields["source"] = command.source
    if command.trace is not None:
        fields[trace.NAME] = trace.header(command.trace)
    return fields


def decode(fields: Iterable[tuple[bytes, bytes]]) -> Command:
    """
    Read the fields of a stream entry. Fields that the contract does not know are ignored.

    Raises:
        InvalidCommand: With one fault per field that is wrong.
    """
    known: dict[str, bytes] = {}
    pairs = tuple(fields)
    for name, value in pairs:
        field = _FIELDS.get(name)
        if field is None:
            continue
        if field in known:
            raise InvalidCommand(Fault(field, "stands twice in the entry"))
        known[field] = value
    return _decode_known(known, traced=given_trace(pairs))


def given_trace(fields: Iterable[tuple[bytes, bytes]]) -> Trace | None:
    """
    Read the trace that an entry's sender gave.

    None also for a malformed one, or two: no command is buried for that, nobody would apply it.
    """
    given = [value for name, value in fields if name == _TRACE]
    return trace.parse(given[0].decode("latin-1")) if len(given) == 1 else None


def parse(type_name: str, values: object) -> Data:
    """
    Check the data of a command of the named type.

    Raises:
        InvalidCommand: With one fault per field that is wrong.
    """
    model = TYPES.get(type_name)
    if model is None:
        raise InvalidCommand(
            Fault("type", f"{shorten(type_name)} is unknown; known are {', '.join(TYPES)}")
        )
    if not isinstance(values, dict):
        raise InvalidCommand(Fault("data", f"must be a JSON object, not {kind(values)}"))
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidCommand(*of_validation(error, asked=ASKED)) from None


def _decode_known(known: Mapping[str, bytes], *, traced: Trace | None) -> Command:
    missing = [Fault(name, "is missing") for name in ("type", "data") if name not in known]
    if missing:
        raise InvalidCommand(*missing)
    if len(known["data"]) > MAX_DATA_BYTES:
        size = len(known["data"])
        raise InvalidCommand(Fault("data", f"has {size} bytes, at most {MAX_DATA_BYTES}"))
    envelope = _envelope(known)
    data = parse(envelope.type, load_json(envelope.data))
    return Command(data=data, id=envelope.id, source=envelope.source, trace=traced)


def _envelope(known: Mapping[str, bytes]) -> Envelope:
    values: dict[str, object] = {"data": known["data"]}
    for name in ("type", "id", "source"):
        if name in known:
            values[name] = _text(name, known[name])
    try:
        return Envelope.model_validate(values)
    except ValidationError as error:
        raise InvalidCommand(*of_validation(error, asked=ASKED)) from None


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidCommand(Fault(name, "is not UTF-8")) from None
