"""SSE: the bytes that a browser reads."""

from support.events import Event, Stream

from ingest import sse
from ingest.feed import Happening, of_gap
from ingest.positions import START, Gap, Position

AT = Position(5, 1)


def read(sent: bytes, *, last_id: str = "") -> tuple[list[Event], Stream]:
    """Read as a browser does."""
    stream = Stream(last_id=last_id, _id=last_id)
    lines = sent.decode().split("\n")
    assert lines[-2:] == ["", ""]
    return [event for line in lines[:-1] if (event := stream.feed(line))], stream


def test_event() -> None:
    """An event has its id, its type and its data in one line."""
    event = Happening("5-1", "exam.pass", {"pk": "a", "text": "two\nlines\r\u2028"})

    (found,), _ = read(sse.frame(event))

    assert found == Event("5-1", "exam.pass", {"pk": "a", "text": "two\nlines\r\u2028"})


def test_opening_and_heartbeat() -> None:
    """They are no events, and leave the client with an id to come again with."""
    for sent in (sse.opening(AT), sse.heartbeat(AT)):
        found, stream = read(sent)
        assert (found, stream.last_id) == ([], "5-1")
    assert read(sse.opening(None))[1].retry == 2000


def test_nothing_known_yet() -> None:
    """Without a position the client keeps the id that it has."""
    for sent in (sse.opening(None), sse.heartbeat(None), sse.AWAY):
        found, stream = read(sent, last_id="4-0")
        assert (found, stream.last_id) == ([], "4-0")


def test_gap() -> None:
    """A gap says what was asked for, where it goes on and why."""
    missing = Gap(asked=AT, resumes=Position(9, 0), after=AT, reason="gone")

    (found,), stream = read(sse.frame(of_gap(missing)), last_id="5-1")

    assert found.type == "gap"
    assert found.data == {"asked": "5-1", "resumes": "9-0", "reason": "gone"}
    assert stream.last_id == "5-1"


def test_gap_with_a_new_id() -> None:
    """A client whose id is no good gets another one with the gap, not the same gap for ever."""
    missing = Gap(asked=AT, resumes=START, after=START, reason="made anew")

    _, stream = read(sse.frame(of_gap(missing)), last_id="5-1")

    assert stream.last_id == "0-0"


def test_dropped() -> None:
    """A reader that is dropped is told why, and where to go on."""
    (found,), stream = read(sse.dropped(AT, most=1000), last_id="4-0")

    assert found.type == "dropped"
    assert "1000 events" in found.data["reason"]
    assert found.data["resume"] == stream.last_id == "5-1"
