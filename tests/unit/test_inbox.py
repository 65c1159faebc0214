"""Letters in an exam's inbox."""

from dataclasses import replace

import pytest

from filestore.fact import Fact, Type
from ops import trace
from tasks.inbox import Letter, _sort_out, decode, encode

LETTER = Letter(
    pk="math-7", entry="5-0", command="k-1", source=None, type=Type.FINISH, value="pass"
)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FACT = Fact(at_ms=5, entry="5-0", command="k-1", source=None, type=Type.FINISH, value="pass")


def test_letter_is_one_short_line() -> None:
    """A letter holds what its entry's id and its inbox's name do not say already."""
    assert encode(LETTER) == '["k-1",null,"exam.finish","pass"]'


def test_ingress_time_stands_before_the_letter() -> None:
    """The time that Redis wrote before the letter is the fact's, whatever its entry id says."""
    fact, _ = decode("9000-0", f"5 {encode(LETTER)}")

    assert fact == Fact(
        at_ms=5, entry="9000-0", command="k-1", source=None, type=Type.FINISH, value="pass"
    )


def test_trace_stands_behind_the_letter() -> None:
    """A letter carries the trace of its command."""
    text = encode(replace(LETTER, trace=trace.parse(TRACEPARENT)))

    assert text == f'["k-1",null,"exam.finish","pass","{TRACEPARENT}"]'
    fact, traced = decode("5-0", f"5 {text}")
    assert (FACT, TRACEPARENT) == (fact, trace.header(traced))


@pytest.mark.parametrize("more", ["", ', "00-nonsense"'])
def test_letter_without_trace(more: str) -> None:
    """A letter without a trace, as they were before, is read all the same: it has its entry's."""
    decoded = decode("5-0", f'5 ["k-1", null, "exam.finish", "pass"{more}]')

    assert (FACT, trace.derived("5-0")) == decoded


def test_post_names_the_trace_of_each_fact() -> None:
    """Whoever works on an inbox can say of each command which trace it belongs to."""
    traced = encode(replace(LETTER, trace=trace.parse(TRACEPARENT)))
    fields = {b"5-0": f"5 {traced}".encode(), b"6-0": f"6 {encode(LETTER)}".encode()}

    post = _sort_out(fields, now_ms=7, attempt=1)

    assert {"5-0": trace.parse(TRACEPARENT), "6-0": trace.derived("6-0")} == post.traces


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5 ",
        " []",
        "now []",
        "5 []",
        "5 {}",
        '5 ["k", null, "exam.finish"]',
        '5 ["k", null, "exam.finish", "pass", 1]',
        f'5 ["k", null, "exam.finish", "pass", "{TRACEPARENT}", "{TRACEPARENT}"]',
        '5 ["k", null, "exam.open", "pass"]',
        '5 ["k", null, 7, "pass"]',
        '5 [7, null, "exam.finish", "pass"]',
        '5 ["k", 7, "exam.finish", "pass"]',
        '5 ["k", null, "exam.finish", null]',
        '5 ["k", null, "exam.finish", 1.5]',
        '["k", null, "exam.finish", "pass"]',
    ],
)
def test_other_text_is_no_letter(text: str) -> None:
    """What no dispatcher wrote is not taken for a command."""
    with pytest.raises(ValueError, match=r".+"):
        decode("5-0", text)


@pytest.mark.parametrize(
    "text",
    [
        '5 ["k", null, "exam.start", "long"]',
        '5 ["k", null, "exam.start", true]',
        '5 ["k", null, "exam.finish", "absent-minded"]',
        '5 ["k", null, "exam.finish", 7]',
        '5 ["k", null, "exam.expire", "soon"]',
        '99999999999999999999 ["k", null, "exam.start", 5]',
        '-99999999999999999999 ["k", null, "exam.start", 5]',
    ],
)
def test_value_that_cannot_be_judged_is_no_letter(text: str) -> None:
    """
    A value that does not belong to its type is found at the door.

    Let in, it makes the judge or the document fail at each bell, and with it every other command
    of that exam: it would stay open for ever.
    """
    with pytest.raises(ValueError, match=r".+"):
        decode("5-0", text)


@pytest.mark.parametrize("entry", ["", "5", "5-", "-5", "a-b", "5-0-1"])
def test_other_name_is_no_entry(entry: str) -> None:
    """A field whose name is no entry id was written by no dispatcher."""
    with pytest.raises(ValueError, match=r".+"):
        decode(entry, f"5 {encode(LETTER)}")


def test_foreign_fields_are_set_apart() -> None:
    """One strange field does not keep an exam's commands from being applied."""
    post = _sort_out(
        {b"5-0": f"5 {encode(LETTER)}".encode(), b"\xff": b"5 []", b"6-0": b"\xff"},
        now_ms=7,
        attempt=1,
    )

    assert ((FACT,), ("\udcff", "6-0"), 7) == (post.facts, post.foreign, post.now_ms)


def test_deep_nesting_is_foreign() -> None:
    """A field of a hundred thousand brackets is set apart like any other."""
    post = _sort_out({b"5-0": b"5 " + b"[" * 100_000}, now_ms=7, attempt=1)

    assert post.foreign == ("5-0",)
