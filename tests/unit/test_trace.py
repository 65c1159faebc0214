"""W3C trace context: what a traceparent may be, and what follows from it."""

import pytest

from ops import trace
from ops.trace import Trace

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
GIVEN = Trace(trace_id=TRACE_ID, span_id=SPAN_ID, flags=1)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (f"00-{TRACE_ID}-{SPAN_ID}-01", 1),
        (f"00-{TRACE_ID}-{SPAN_ID}-00", 0),
        (f"00-{TRACE_ID}-{SPAN_ID}-ff", 1),
        (f"00-{TRACE_ID}-{SPAN_ID}-02", 0),
        (f"01-{TRACE_ID}-{SPAN_ID}-01", 1),
        (f"cc-{TRACE_ID}-{SPAN_ID}-01", 1),
        (f"cc-{TRACE_ID}-{SPAN_ID}-01-", 1),
        (f"cc-{TRACE_ID}-{SPAN_ID}-01-what-the-future-will-be-like", 1),
    ],
)
def test_good(text: str, flags: int) -> None:
    """Four fields make a trace, of a version to come as well; only the flag we know is kept."""
    assert Trace(trace_id=TRACE_ID, span_id=SPAN_ID, flags=flags) == trace.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"00-{TRACE_ID}-{SPAN_ID}-1",
        f"00-{TRACE_ID}-{SPAN_ID}-0g",
        f"00-{TRACE_ID}-{SPAN_ID}-01-",
        f"00-{TRACE_ID}-{SPAN_ID}-01-more",
        f"00-{TRACE_ID}-{SPAN_ID}-01.more",
        f"00-{TRACE_ID}-{SPAN_ID}-01\n",
        f" 00-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-01, 00-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID.upper()}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-0A",
        f"0A-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID[1:]}-{SPAN_ID}-01",
        f"00-{TRACE_ID}0-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID[1:]}-01",
        f"00-{TRACE_ID}-{SPAN_ID}0-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"cc-{'0' * 32}-{SPAN_ID}-01",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"ff-{TRACE_ID}-{SPAN_ID}-01-more",
        f"0-{TRACE_ID}-{SPAN_ID}-01",
        f"cc-{TRACE_ID}-{SPAN_ID}-01.more",
        f"cc-{TRACE_ID}-{SPAN_ID}-012",
        f"00_{TRACE_ID}_{SPAN_ID}_01",
        f"00-{TRACE_ID[:-1]}\uff11-{SPAN_ID}-01",
        f"00-{TRACE_ID[:-1]}\u0661-{SPAN_ID}-01",
    ],
)
def test_malformed(text: str) -> None:
    """What the standard does not allow is no trace."""
    assert trace.parse(text) is None


def test_header_is_read_back() -> None:
    """What is written is in the version that we know, and is read back the same."""
    assert f"00-{TRACE_ID}-{SPAN_ID}-01" == trace.header(GIVEN)
    for one in (GIVEN, trace.new(), trace.child(GIVEN), trace.derived("5-0")):
        assert one == trace.parse(trace.header(one))


def test_child_is_another_step_of_the_same_trace() -> None:
    """A step keeps the trace and its flags, and has a span of its own."""
    unsampled = Trace(trace_id=TRACE_ID, span_id=SPAN_ID, flags=0)
    one, other = trace.child(unsampled), trace.child(unsampled)

    assert (TRACE_ID, 0) == (one.trace_id, one.flags)
    assert 3 == len({SPAN_ID, one.span_id, other.span_id})


def test_each_new_trace_is_another() -> None:
    """Nobody shares a trace by accident."""
    assert 100 == len({trace.new().trace_id for _ in range(100)})


def test_derived_is_the_same_everywhere() -> None:
    """
    The trace of an entry follows from its id by nothing but SHA-256.

    The digits are fixed here: parts of two versions at work at once must agree.
    """
    assert "00-d8e33e92b9102115de68dd8976906c2d-bb2da27e53bcf4ac-01" == trace.header(
        trace.derived("1795418200411-0")
    )
    assert trace.derived("1795418200411-0") != trace.derived("1795418200411-1")
