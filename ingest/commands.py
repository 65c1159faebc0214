"""Commands: the contract of the stream. Pydantic models, one codec, used by every door."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ops.settings import MAX_DURATION_S, MAX_ECHO_DELAY_S

#: Bytes of one command's ``data``. The longest text fits four times; a megabyte does not.
MAX_DATA_BYTES = 65_536
#: Characters of a text to echo.
MAX_TEXT = 10_000
#: Characters of a producer's own id and name.
MAX_ID = 200
#: Milliseconds. The end of the year 9999: the last moment that ISO 8601 writes with four digits.
MAX_MOMENT_MS = 253_402_300_799_999

Pk = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID, pattern=r"^\P{Cc}+\z")]


class _Data(BaseModel):
    """Data of a command: exact types, and a misspelled field is an error rather than ignored."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ExamStart(_Data):
    """Open an exam; its clock starts with the command's arrival on the stream."""

    pk: Pk
    duration: int | None = Field(None, ge=1, le=MAX_DURATION_S, description="seconds")


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
_NAMES = {model: name for name, model in TYPES.items()}


class Envelope(BaseModel):
    """What surrounds the data in a stream entry, by the names of CloudEvents."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    type: str
    data: bytes
    id: Label | None = None
    source: Label | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One request to move one exam or to echo a text."""

    data: Data
    id: str | None = None
    source: str | None = None

    @property
    def type(self) -> str:
        """Name of the command on the wire."""
        return _NAMES[type(self.data)]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a command."""

    field: str
    message: str


class InvalidCommand(ValueError):  # noqa: N818 - names what was received
    """A command does not decode or validate; it is the sender's fault and is never retried."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


def encode(command: Command) -> dict[str, str]:
    """Make the fields of a stream entry; what was not given is left out."""
    fields = {"type": command.type, "data": command.data.model_dump_json(exclude_none=True)}
    named = {"id": command.id, "source": command.source}
    return fields | {name: value for name, value in named.items() if value is not None}


def decode(fields: Iterable[tuple[bytes, bytes]]) -> Command:
    """
    Read the fields of a stream entry. Fields that the contract does not know are ignored.

    Raises:
        InvalidCommand: With one fault per field that is wrong.
    """
    known: dict[str, bytes] = {}
    for name, value in fields:
        field = name.decode("utf-8", "replace")
        if field in Envelope.model_fields and field in known:
            raise InvalidCommand(Fault(field, "stands twice in the entry"))
        known[field] = value
    return _decode_known(known)


def parse(type_name: str, values: object) -> Data:
    """
    Check the data of a command of the named type.

    Raises:
        InvalidCommand: With one fault per field that is wrong.
    """
    model = TYPES.get(type_name)
    if model is None:
        raise InvalidCommand(
            Fault("type", f"{_shortened(type_name)} is unknown; known are {', '.join(TYPES)}")
        )
    if not isinstance(values, dict):
        raise InvalidCommand(Fault("data", f"must be a JSON object, not {_kind(values)}"))
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidCommand(*_faults(error)) from None


def load_json(text: bytes) -> object:
    """
    Parse one JSON value, more strictly than Python does.

    Raises:
        InvalidCommand: Not UTF-8, not JSON, NaN or Infinity, the same key twice, a number or a
            nesting that no honest sender needs.
    """
    try:
        return json.loads(
            text.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique
        )
    except RecursionError:
        raise InvalidCommand(Fault("data", "is nested too deeply")) from None
    except UnicodeDecodeError as error:
        raise InvalidCommand(Fault("data", f"is not UTF-8 at byte {error.start}")) from None
    except json.JSONDecodeError as error:
        message = f"is not JSON: {error.msg} at character {error.pos}"
        raise InvalidCommand(Fault("data", message)) from None
    except InvalidCommand:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise InvalidCommand(Fault("data", f"is not acceptable JSON: {error}")) from None


def _decode_known(known: Mapping[str, bytes]) -> Command:
    missing = [Fault(name, "is missing") for name in ("type", "data") if name not in known]
    if missing:
        raise InvalidCommand(*missing)
    if len(known["data"]) > MAX_DATA_BYTES:
        size = len(known["data"])
        raise InvalidCommand(Fault("data", f"has {size} bytes, at most {MAX_DATA_BYTES}"))
    envelope = _envelope(known)
    data = parse(envelope.type, load_json(envelope.data))
    return Command(data=data, id=envelope.id, source=envelope.source)


def _envelope(known: Mapping[str, bytes]) -> Envelope:
    values: dict[str, object] = {"data": known["data"]}
    for name in ("type", "id", "source"):
        if name in known:
            values[name] = _text(name, known[name])
    try:
        return Envelope.model_validate(values)
    except ValidationError as error:
        raise InvalidCommand(*_faults(error)) from None


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidCommand(Fault(name, "is not UTF-8")) from None


def _no_constant(name: str) -> NoReturn:
    raise InvalidCommand(Fault("data", f"is not JSON: {name}"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidCommand(Fault(_shortened(twice), "stands twice in the same object"))
    return values


def _faults(error: ValidationError) -> list[Fault]:
    found = error.errors(include_url=False, include_context=False)
    return [Fault(_place(fault["loc"]), _message(fault)) for fault in found]


def _place(location: tuple[int | str, ...]) -> str:
    return _shortened(".".join(str(part) for part in location)) or "data"


def _message(fault: Mapping[str, Any]) -> str:
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field of this command"
        case _:
            message = str(fault["msg"])
            return f"{message[:1].lower()}{message[1:]}, not {_shortened(repr(fault['input']))}"


def _kind(value: object) -> str:
    kinds = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def _shortened(text: str) -> str:
    """Show what was seen, in bounded length and without characters that a terminal obeys."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
