"""Commands: the contract of the stream, as the codec keeps it."""

import json

import pytest

from ingest.commands import (
    MAX_DATA_BYTES,
    MAX_ID,
    MAX_MOMENT_MS,
    MAX_TEXT,
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


def wire(fields: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Fields as they come from Redis."""
    return [(name.encode(), value.encode()) for name, value in fields.items()]


def fields_at_fault(*fields: tuple[bytes, bytes]) -> list[str]:
    """Decode an entry that is not valid, and return the fields that the error names."""
    with pytest.raises(InvalidCommand) as caught:
        decode(fields)
    return [fault.field for fault in caught.value.faults]


@pytest.mark.parametrize(
    "data",
    [
        ExamStart(pk="math-7", duration=5),
        ExamStart(pk="m"),
        ExamFinish(pk="a" * 64, status="pass"),
        ExamFinish(pk="0._-", status="fail"),
        ExamExpire(pk="math-7", deadline=MAX_MOMENT_MS),
        Echo(text="", delay=0),
        Echo(text='héllo 🎓\n\x00"\\'),
        Echo(text="x" * MAX_TEXT, delay=0.5),
    ],
)
def test_round_trip(data: Data) -> None:
    """What one door writes, another reads back the same."""
    command = Command(data=data, id="id-1", source="school")

    assert command == decode(wire(encode(command)))


def test_longest_text_fits() -> None:
    """The longest text is accepted also when each character takes six bytes on the stream."""
    command = Command(data=Echo(text="\x01" * MAX_TEXT))

    assert command == decode(wire(encode(command)))


def test_what_was_not_given_is_left_out() -> None:
    """An entry carries no empty fields: a bare producer's command is as short as can be."""
    fields = encode(Command(data=ExamStart(pk="math-7")))

    assert fields == {"type": "exam.start", "data": '{"pk":"math-7"}'}


def test_unknown_fields_are_ignored() -> None:
    """A producer may add fields of its own, of any bytes and as often as it likes."""
    known = [(b"type", b"echo"), (b"data", b'{"text":"hi"}')]

    command = decode([(b"subject", b"00"), *known, (b"\xff", b"\xfe"), (b"\xff", b"")])

    assert command == Command(data=Echo(text="hi"))


def test_trace_travels_with_the_command() -> None:
    """What one door writes as the trace, another reads back."""
    given = trace.new()
    fields = encode(Command(data=Echo(text="hi"), trace=given))

    assert trace.header(given) == fields["traceparent"]
    assert given == decode(wire(fields)).trace


@pytest.mark.parametrize(
    "values", [[b""], [b"00-nonsense"], [b"\xff"], [trace.header(trace.new()).encode()] * 2]
)
def test_malformed_trace_buries_nothing(values: list[bytes]) -> None:
    """A trace that is none, or two of them, are as good as none: the command counts."""
    known = [(b"type", b"echo"), (b"data", b'{"text":"hi"}')]

    command = decode([*known, *((b"traceparent", value) for value in values)])

    assert command == Command(data=Echo(text="hi"))


@pytest.mark.parametrize("delay", [1, 1.5, MAX_ECHO_DELAY_S])
def test_delay_may_be_any_number(delay: float) -> None:
    """Seconds of an echo are written with or without a fraction."""
    assert parse("echo", {"text": "", "delay": delay}) == Echo(text="", delay=delay)


@pytest.mark.parametrize(
    ("type_name", "values", "field"),
    [
        ("exam.start", {}, "pk"),
        ("exam.start", {"pk": ""}, "pk"),
        ("exam.start", {"pk": None}, "pk"),
        ("exam.start", {"pk": 7}, "pk"),
        ("exam.start", {"pk": "a" * 65}, "pk"),
        ("exam.start", {"pk": ".hidden"}, "pk"),
        ("exam.start", {"pk": "../etc"}, "pk"),
        ("exam.start", {"pk": "a/b"}, "pk"),
        ("exam.start", {"pk": "a\n"}, "pk"),
        ("exam.start", {"pk": "é"}, "pk"),
        ("exam.start", {"pk": "a\x00"}, "pk"),
        ("exam.start", {"pk": "\ud800"}, "pk"),
        ("exam.start", {"pk": "a", "duration": 0}, "duration"),
        ("exam.start", {"pk": "a", "duration": MAX_DURATION_S + 1}, "duration"),
        ("exam.start", {"pk": "a", "duration": "5"}, "duration"),
        ("exam.start", {"pk": "a", "duration": 5.0}, "duration"),
        ("exam.start", {"pk": "a", "duration": True}, "duration"),
        ("exam.start", {"pk": "a", "durations": 5}, "durations"),
        ("exam.finish", {"pk": "a"}, "status"),
        ("exam.finish", {"pk": "a", "status": "PASS"}, "status"),
        ("exam.finish", {"pk": "a", "status": "absent"}, "status"),
        ("exam.expire", {"pk": "a"}, "deadline"),
        ("exam.expire", {"pk": "a", "deadline": -1}, "deadline"),
        ("exam.expire", {"pk": "a", "deadline": MAX_MOMENT_MS + 1}, "deadline"),
        ("echo", {}, "text"),
        ("echo", {"text": 1}, "text"),
        ("echo", {"text": "x" * (MAX_TEXT + 1)}, "text"),
        ("echo", {"text": "", "delay": -0.1}, "delay"),
        ("echo", {"text": "", "delay": MAX_ECHO_DELAY_S + 1}, "delay"),
        ("echo", {"text": "", "delay": float("inf")}, "delay"),
        ("echo", {"text": "", "delay": 10**400}, "delay"),
        ("exam.open", {}, "type"),
        ("", {}, "type"),
        ("exam.start", [], "data"),
        ("exam.start", None, "data"),
        ("exam.start", "math-7", "data"),
    ],
)
def test_bad_data_names_the_field(type_name: str, values: object, field: str) -> None:
    """A command that breaks a rule is not valid, and the error names the field that does."""
    with pytest.raises(InvalidCommand) as caught:
        parse(type_name, values)

    assert [field] == [fault.field for fault in caught.value.faults]


def test_all_faults_at_once() -> None:
    """A sender learns of everything that is wrong in one answer."""
    with pytest.raises(InvalidCommand) as caught:
        parse("exam.finish", {"status": 1, "more": 2})

    assert {"pk", "status", "more"} == {fault.field for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ([], ["type", "data"]),
        ([(b"type", b"echo")], ["data"]),
        ([(b"data", b"{}")], ["type"]),
        ([(b"type", b"\xff"), (b"data", b"{}")], ["type"]),
        ([(b"type", b"echo"), (b"data", b'{"text":"\xff"}')], ["data"]),
        ([(b"type", b"echo"), (b"data", b"")], ["data"]),
        ([(b"type", b"echo"), (b"data", b"{} {}")], ["data"]),
        ([(b"type", b"echo"), (b"data", b"[" * 60_000)], ["data"]),
        ([(b"type", b"echo"), (b"data", b" " * (MAX_DATA_BYTES + 1))], ["data"]),
        ([(b"type", b"echo"), (b"type", b"echo"), (b"data", b"{}")], ["type"]),
        ([(b"type", b"echo"), (b"data", b'{"text":""}'), (b"id", b"")], ["id"]),
        ([(b"type", b"echo"), (b"data", b'{"text":""}'), (b"id", b"\xff")], ["id"]),
        ([(b"type", b"echo"), (b"data", b'{"text":""}'), (b"id", b"a\nb")], ["id"]),
        ([(b"type", b"echo"), (b"data", b'{"text":""}'), (b"id", b"x" * (MAX_ID + 1))], ["id"]),
        ([(b"type", b"echo"), (b"data", b'{"text":""}'), (b"source", b"")], ["source"]),
    ],
)
def test_bad_entry_names_the_field(fields: list[tuple[bytes, bytes]], names: list[str]) -> None:
    """An entry of any bytes at all is decoded, or is not valid for a reason with a field."""
    assert names == fields_at_fault(*fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"NaN", "NaN"),
        (b"-Infinity", "-Infinity"),
        (b"\xff\xfe", "UTF-8 at byte 0"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b'{"a":1,"a":2}', "stands twice"),
        (b"9" * 5000, "acceptable"),
        (b'{"a":' * 20_000, "nested too deeply"),
    ],
)
def test_lenient_json_is_refused(text: bytes, said: str) -> None:
    """What Python takes for JSON and no other language does is refused, with the reason."""
    with pytest.raises(InvalidCommand, match=said):
        load_json(text)


def test_message_is_bounded_and_harmless() -> None:
    """An error shows what was seen, but neither a megabyte of it nor a terminal's orders."""
    with pytest.raises(InvalidCommand) as caught:
        parse("exam.start", {"pk": "\x1b[31m" * 10_000, "\x1b]0;x\x07" * 10_000: 1})

    message = str(caught.value)
    assert len(message) < 500
    assert message.isprintable()


def test_data_on_the_wire_is_json() -> None:
    """The data of an entry is one JSON object that any language reads."""
    fields = encode(Command(data=Echo(text="héllo", delay=1.5)))

    assert json.loads(fields["data"]) == {"text": "héllo", "delay": 1.5}
