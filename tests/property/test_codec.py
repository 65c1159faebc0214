"""The codec of commands and of inboxes, for any values and any bytes."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.strategies import JSON, PKS

from dispatcher.routes import letter
from filestore.fact import Fact, Type
from ingest.commands import (
    MAX_ID,
    MAX_MOMENT_MS,
    TYPES,
    Command,
    Data,
    Echo,
    ExamExpire,
    ExamFinish,
    ExamStart,
    decode,
    encode,
    parse,
)
from ingest.faults import InvalidCommand
from ingest.strict_json import load_json
from ops import trace
from ops.settings import MAX_DURATION_S, MAX_ECHO_DELAY_S
from ops.trace import SAMPLED, Trace
from tasks import inbox

#: Characters. What a line of the log and a field of a dead letter may reasonably have.
MAX_MESSAGE = 4096

LABELS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=MAX_ID)
EXAM_DATA: st.SearchStrategy[Data] = st.one_of(
    st.builds(ExamStart, pk=PKS, duration=st.none() | st.integers(1, MAX_DURATION_S)),
    st.builds(ExamFinish, pk=PKS, status=st.sampled_from(("pass", "fail"))),
    st.builds(ExamExpire, pk=PKS, deadline=st.integers(0, MAX_MOMENT_MS)),
)
ECHOES = st.builds(Echo, text=st.text(), delay=st.none() | st.floats(0, MAX_ECHO_DELAY_S))
TRACES = st.builds(
    Trace,
    trace_id=st.integers(1, 2**128 - 1).map("{:032x}".format),
    span_id=st.integers(1, 2**64 - 1).map("{:016x}".format),
    flags=st.sampled_from((0, SAMPLED)),
)
OWN = {"id": st.none() | LABELS, "trace": st.none() | TRACES}
EXAM_COMMANDS = st.builds(Command, data=EXAM_DATA, source=st.none() | LABELS, **OWN)
COMMANDS = EXAM_COMMANDS | st.builds(Command, data=ECHOES, **OWN)

#: Objects that look like the data of a command, and are not quite.
ALMOST = st.dictionaries(
    st.sampled_from(("pk", "duration", "status", "deadline", "text", "delay")) | st.text(),
    PKS | st.sampled_from(("pass", "fail")) | JSON,
)
FIELD_NAMES = st.sampled_from((b"type", b"data", b"id", b"source", b"traceparent")) | st.binary(
    max_size=9
)
FIELD_VALUES = (
    st.sampled_from([name.encode() for name in TYPES])
    | st.builds(lambda value: json.dumps(value).encode(), ALMOST)
    | st.binary()
)
FIELDS = st.lists(st.tuples(FIELD_NAMES, FIELD_VALUES), max_size=8)

ENTRIES = st.builds("{}-{}".format, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


def wire(fields: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Fields as they come from Redis."""
    return [(name.encode(), value.encode()) for name, value in fields.items()]


def complaint(type_name: str, values: Any) -> str:
    """Check data of a command; return what is said against it."""
    try:
        parse(type_name, values)
    except InvalidCommand as error:
        return str(error)
    return ""


@given(COMMANDS)
def test_round_trip(command: Command) -> None:
    """Any command that one door writes, another reads back the same."""
    assert command == decode(wire(encode(command)))


@given(COMMANDS)
def test_data_on_the_wire_is_plain_json(command: Command) -> None:
    """The data of any command is one JSON object with the pk or text that was given."""
    written = json.loads(encode(command)["data"])

    assert command.data.model_dump(exclude_none=True) == written


@given(COMMANDS, st.lists(st.tuples(st.binary(), st.binary())))
def test_fields_of_others_change_nothing(
    command: Command, others: list[tuple[bytes, bytes]]
) -> None:
    """Whatever fields a producer adds of its own, the command is the same."""
    known = {b"type", b"data", b"id", b"source", b"traceparent"}
    assume(not known & {name for name, _ in others})

    assert command == decode([*others, *wire(encode(command)), *others])


@given(FIELDS)
def test_any_entry_decodes_or_is_invalid(fields: list[tuple[bytes, bytes]]) -> None:
    """Whatever bytes an entry has, it is a command or invalid; nothing else can happen."""
    try:
        command = decode(fields)
    except InvalidCommand:
        return

    assert command == decode(wire(encode(command)))


@given(st.sampled_from(list(TYPES)) | st.text(), JSON | ALMOST)
def test_invalid_is_one_short_line(type_name: str, values: Any) -> None:
    """Whatever was received, the error is one line that a terminal shows, of bounded length."""
    message = complaint(type_name, values)

    assert message.isprintable()
    assert len(message) <= MAX_MESSAGE


def test_many_faults_are_one_short_line() -> None:
    """Data of 5,000 unknown fields does not make a dead letter or a log line of 200 kB."""
    message = complaint("exam.start", {f"field-{number}": number for number in range(5000)})

    assert len(message) <= MAX_MESSAGE


@given(st.binary() | st.builds(lambda value: json.dumps(value).encode(), JSON))
def test_any_bytes_are_json_or_invalid(text: bytes) -> None:
    """Whatever bytes the data has, it is JSON that every language reads alike, or invalid."""
    try:
        value = load_json(text)
    except InvalidCommand:
        return

    assert value == json.loads(json.dumps(value, allow_nan=True))


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
@given(depth=st.integers(1, 3000))
def test_any_depth_is_invalid_at_most(bracket: str, depth: int) -> None:
    """However deeply the data is nested, it is invalid, not an accident of the interpreter."""
    data = f'{{"pk":{bracket * depth}1{("]" if bracket == "[" else "}") * depth}}}'

    with pytest.raises(InvalidCommand):
        decode([(b"type", b"exam.start"), (b"data", data.encode())])


@given(EXAM_COMMANDS, ENTRIES, st.integers(0, 2**42))
def test_valid_command_is_a_letter_that_can_be_read(
    command: Command, entry: str, at_ms: int
) -> None:
    """What the codec lets in, the dispatcher writes into an inbox and the exam task reads."""
    made = letter(command, entry=entry, duration_s=120)
    assert made is not None

    fact = Fact(
        at_ms=at_ms,
        entry=entry,
        command=command.id or entry,
        source=command.source,
        type=Type(command.type),
        value=made.value,
    )
    traced = command.trace or trace.derived(entry)
    assert (fact, traced) == inbox.decode(entry, f"{at_ms} {inbox.encode(made)}")


@given(
    st.dictionaries(
        st.binary(),
        st.binary()
        | st.builds(lambda at, value: f"{at} {json.dumps(value)}".encode(), st.integers(), JSON),
    )
)
def test_any_field_of_an_inbox_is_sorted_out(fields: dict[bytes, bytes]) -> None:
    """Whatever somebody put into an inbox, each field is a fact or is named as foreign."""
    post = inbox._sort_out(fields, now_ms=0, attempt=1)

    named = {fact.entry for fact in post.facts} | set(post.foreign)
    assert {name.decode("utf-8", "surrogateescape") for name in fields} == named
