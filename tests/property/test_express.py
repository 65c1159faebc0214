"""What is read fast is what is read with care."""

import json

from hypothesis import example, given
from hypothesis import strategies as st
from support.strategies import JSON, PKS

from ingest import express
from ingest.commands import ExamStart, parse
from ingest.faults import InvalidCommand
from ingest.strict_json import load_plain, load_with_care

#: Pieces of which bodies are made that are almost right.
NAMES = st.sampled_from(['"pk"', '"duration"', '"p\\u006b"', '"x"', "pk"])
VALUES = st.one_of(
    PKS.map(json.dumps),
    JSON.map(json.dumps),
    st.sampled_from(
        ["null", "5", "5.0", "5e0", "0", "-1", "NaN", "1" * 30, '"a\\"b"', '{"a":1}', "[]"]
    ),
)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
BODIES = st.one_of(
    PAIRS.map(lambda pairs: "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"),
    JSON.map(json.dumps),
    st.text(max_size=30),
).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=30)


def with_care(body: bytes) -> ExamStart | None:
    """What the application makes of a body; None where it refuses it."""
    try:
        values = load_with_care(body, called="body")
        if isinstance(values, dict):
            values.setdefault("pk", "made-up")
        data = parse("exam.start", values)
    except InvalidCommand:
        return None
    assert isinstance(data, ExamStart)
    return data


@given(BODIES)
@example(b'{"pk":"a","pk":"a"}')
@example(b'{"pk":"a","duration":1,"duration":2}')
@example(b'{"pk":{"a":"b"}}')
def test_fast_is_as_careful(body: bytes) -> None:
    """Nothing is taken that would be refused, and nothing is understood in another way."""
    found = express.read(body)

    if found is not None:
        assert b'"pk"' in body or found.pk.startswith("exam-")
        named = found if b'"pk"' in body else found.model_copy(update={"pk": "made-up"})
        assert with_care(body) == named


#: Objects in objects, some of whose names stand twice.
NESTED = st.recursive(
    VALUES,
    lambda inner: st.lists(st.tuples(st.sampled_from(['"a"', '"b"', '""']), inner), max_size=3).map(
        lambda pairs: "{" + ", ".join(f"{name} :{value}" for name, value in pairs) + "}"
    ),
    max_leaves=8,
).map(lambda text: text.encode("utf-8", "surrogatepass"))


@given(BODIES | NESTED)
@example(b'{"a":{"b":"c"},"a":1}')
@example(b'{"a":{"b":1,"b":"c"}}')
@example(b'{"a":"b\tc"}')
@example(b'{"a":[""]}')
@example(b'{"a":1e400}')
def test_plain_is_as_careful(text: bytes) -> None:
    """Of any JSON the same is understood, or it is read again with care."""
    found = load_plain(text)

    if found is not None:
        assert found == load_with_care(text)
        assert repr(found) == repr(load_with_care(text))


def test_plain_is_read() -> None:
    """What the gateway writes, and what clients send in a line, is read without care."""
    values = {"type": "exam.start", "id": "k", "data": {"pk": "a", "duration": None, "x": True}}

    assert load_plain(json.dumps(values).encode()) == values


@given(PKS, st.none() | st.integers(1, 3600), st.sampled_from([None, 1]))
def test_ordinary_is_read(pk: str, duration: int | None, indent: int | None) -> None:
    """Whatever is spelled without escapes is read fast."""
    values = {"pk": pk} | ({"duration": duration} if duration else {})

    assert express.read(json.dumps(values, indent=indent).encode()) == ExamStart(**values)  # type: ignore[arg-type]
