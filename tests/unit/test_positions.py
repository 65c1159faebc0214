"""Positions: which ids there are, and what a reader has missed."""

import pytest

from ingest.positions import NOTHING, START, Extent, Position, gap, position


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0", START),
        ("0-0", START),
        ("1763822000123-7", Position(1763822000123, 7)),
        ("1763822000123", Position(1763822000123, 0)),
        (f"{2**64 - 1}-{2**64 - 1}", Position(2**64 - 1, 2**64 - 1)),
    ],
)
def test_ids(text: str, found: Position) -> None:
    """An id is read as Redis reads it; milliseconds alone are the first id of theirs."""
    assert position(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "$", "+", "-", "(1-0", "1-", "-1", "1-0-0", "1-x", "١-0", "1-0\n"),
        *(f"{2**64}-0", "1" * 5000),
    ],
)
def test_what_is_no_id(text: str) -> None:
    """What Redis does not take for an id, or takes for a special one, is refused."""
    with pytest.raises(ValueError, match="id of an event"):
        position(text)


def test_ids_in_order() -> None:
    """Ids compare as numbers, not as texts."""
    assert position("9-9") < position("9-10") < position("10-0")
    assert str(position("0010-01")) == "10-1"


TRIMMED = Extent(first=Position(5, 0), last=Position(9, 0), is_whole=False)
WHOLE = Extent(first=Position(5, 0), last=Position(9, 0), is_whole=True)
EMPTIED = Extent(first=None, last=Position(9, 0), is_whole=False)


@pytest.mark.parametrize("asked", ["5-0", "5-1", "7-3", "9-0"])
@pytest.mark.parametrize("extent", [TRIMMED, WHOLE])
def test_nothing_is_missing(asked: str, extent: Extent) -> None:
    """Behind an id that is not older than the oldest entry everything is there, known or not."""
    assert gap(position(asked), extent) is None


def test_from_the_start() -> None:
    """Whoever wants all gets all, and is told when that is not all that there was."""
    assert gap(START, WHOLE) is None
    assert gap(START, NOTHING) is None
    assert gap(START, TRIMMED) is not None


@pytest.mark.parametrize("extent", [TRIMMED, WHOLE])
def test_trimmed(extent: Extent) -> None:
    """Behind an id older than the oldest entry there may have been more: it goes on with that."""
    found = gap(Position(4, 9), extent)

    assert found is not None
    assert (found.asked, found.resumes, found.after) == ((4, 9), (5, 0), (4, 9))


def test_emptied() -> None:
    """Where nothing is left it goes on behind all that there was, unless that is what was seen."""
    found = gap(Position(8, 0), EMPTIED)

    assert found is not None
    assert (found.resumes, found.after) == ((9, 0), (9, 0))
    assert gap(Position(9, 0), EMPTIED) is None


@pytest.mark.parametrize("extent", [TRIMMED, WHOLE, EMPTIED, NOTHING])
def test_made_up(extent: Extent) -> None:
    """An id that no entry has yet had is no place to wait for: it goes on with what comes next."""
    found = gap(Position(10, 0), extent)

    assert found is not None
    assert found.asked == (10, 0)
    assert found.resumes == found.after == extent.last
