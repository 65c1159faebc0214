"""Lines that are read together mean what they mean one by one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import PKS

from ingest import alike, lines, replies
from ingest.commands import encode
from ops.many import FEWEST
from ops.settings import MAX_DURATION_S

IDS = st.from_regex(r"[A-Za-z0-9._-]{1,200}", fullmatch=True)
#: What an ordinary line may be about, and what is just not that any more.
DATA = st.one_of(
    PKS.map(lambda pk: {"pk": pk}),
    st.tuples(PKS, st.integers(-1, MAX_DURATION_S + 1)).map(
        lambda both: {"pk": both[0], "duration": both[1]}
    ),
    st.tuples(PKS, st.sampled_from(["pass", "fail", "absent"])).map(
        lambda both: {"pk": both[0], "status": both[1]}
    ),
    st.sampled_from([{}, {"pk": ""}, {"pk": "a/b"}, {"pk": "é"}, {"pk": "a", "duration": None}]),
)
TYPES = st.sampled_from(["exam.start", "exam.start", "exam.finish", "exam.expire", "examXstart"])
LINES = st.tuples(
    st.lists(st.tuples(st.just("id"), IDS), max_size=1),
    st.tuples(st.just("type"), TYPES),
    st.tuples(st.just("data"), DATA),
    st.lists(st.tuples(st.sampled_from(["id", "source", "type", "data"]), IDS), max_size=1),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,", ":")]),
)
#: What is put into a line, and where.
BLOTS = st.tuples(
    st.integers(0, 100), st.sampled_from([b"", b"", b"", b" ", b"\r", b"\\", b'"', b"0", b"\xc3"])
)


def written(parts: Any) -> bytes:
    """The line: a JSON object in which a name may stand twice."""
    before, kind, data, behind, separators = parts
    comma, colon = separators
    said = comma.join(
        f"{json.dumps(name)}{colon}{json.dumps(value, separators=separators)}"
        for name, value in [*before, kind, data, *behind]
    )
    return f"{{{said}}}".encode()


def blotted(line: bytes, blot: tuple[int, bytes]) -> bytes:
    """The line with something put into it."""
    at, what = blot
    return line[: at % (len(line) + 1)] + what + line[at % (len(line) + 1) :]


TEXTS = st.builds(blotted, LINES.map(written), BLOTS)


@given(st.one_of(TEXTS, TEXTS.map(lambda text: text + b"\r")), st.booleans())
def test_together_is_one_by_one(text: bytes, has_others: bool) -> None:
    """What is read together is the very command that is read with care, under an id of its own."""
    other = b'{"type":"exam.start","data":{"pk":"a"}}'
    others = [other if has_others and b"finish" not in text else text] * (FEWEST - 1)

    found = alike.read([*others, text])

    if found is not None:
        command = lines.read(text)
        entry = encode(command)
        assert (found.type, found.data[-1]) == (entry["type"], entry["data"])
        assert found.pks[-1] == json.loads(entry["data"])["pk"]
        assert (command.source, command.trace) == (None, None)
        if command.id is None:
            assert found.names[-1].startswith(f"{found.pks[-1]}.")
            assert len(set(found.names)) > 1
        else:
            assert found.names[-1] == command.id


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"exam.start","data":{"pk":"math-7"}}',
        b'{"type": "exam.start", "data": {"pk": "math-7", "duration": 60}}\r',
        b'{"type":"exam.finish","data":{"pk":"math-7","status":"pass"}}',
        b'{"id":"mine","type":"exam.finish","data":{"pk":"math-7","status":"fail"}}',
        b'{"type":"exam.start","data":{"pk":"math-7"},"id":"mine"}',
    ],
)
def test_ordinary(line: bytes) -> None:
    """What a program writes that does nothing special is read together, or the test above is."""
    assert alike.read([line] * FEWEST)
    assert alike.read([line] * (FEWEST - 1)) is None


@pytest.mark.parametrize(
    "odd",
    [
        None,
        b"",
        b'{"type":"echo","data":{"text":"a"}}',
        b'{"type":"exam.finish","data":{"pk":"a","status":"pass"}}',
        b'{"id":"a","type":"exam.start","data":{"pk":"a"},"id":"b"}',
        b'{"type":"exam.start","data":{"pk":"a"},"source":"me"}',
        b'{"type":"exam.start","data":{"pk":"a","duration":%d}}' % (MAX_DURATION_S + 1),
    ],
)
def test_odd(odd: bytes | None) -> None:
    """One that is not alike has all of them read one by one."""
    usual = b'{"type":"exam.start","data":{"pk":"a"}}'

    assert alike.read([*[usual] * 20, odd, usual]) is None


@given(st.lists(st.tuples(PKS, IDS), min_size=1, max_size=5), st.integers(1, 10**9))
def test_answers(named: list[tuple[str, str]], number: int) -> None:
    """They are what is answered to lines that were read one by one."""
    pks, names = zip(*named, strict=True)
    entries = [f"1763822000123-{at}" for at in range(len(named))]
    found = alike.Alike("exam.start", pks, [], names)

    assert found.answers(entries, number=number) == b"".join(
        replies.line({"line": line, "command_id": name, "entry": entry, "pk": pk})
        for line, ((pk, name), entry) in enumerate(zip(named, entries, strict=True), number)
    )
