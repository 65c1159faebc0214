"""The query of a list: what is asked for, and cursors that bring back what they were given."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filestore.fact import LAST_MS, Status
from ingest.cursors import MOST, Listing, read_query
from ingest.problems import Refusal

pks = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
listings = st.builds(
    Listing,
    after=st.tuples(st.integers(0, LAST_MS), pks),
    status=st.sampled_from([None, *Status]),
    since_ms=st.integers(0, LAST_MS),
    limit=st.integers(1, MOST),
)


def wrong(*query: tuple[str, str]) -> list[str]:
    """Name the fields that are refused."""
    with pytest.raises(Refusal) as caught:
        read_query(query)
    assert caught.value.problem.type == "urn:invigil:problem:invalid-query"
    assert caught.value.problem.status == 422
    errors = caught.value.problem.more["errors"]
    assert isinstance(errors, list)
    return [error["field"] for error in errors]


def cursor_of(listing: Listing) -> str:
    """Make the cursor of a page that has one."""
    assert listing.after
    return listing.cursor(after=listing.after)


@given(listings)
def test_a_cursor_says_all(listing: Listing) -> None:
    """A cursor alone brings back the list it was given in, and the place in it."""
    assert listing == read_query([("cursor", cursor_of(listing))])


@given(listings, st.data())
def test_a_changed_cursor_is_refused(listing: Listing, data: st.DataObject) -> None:
    """A cursor with one character changed, or cut, is none."""
    cursor = cursor_of(listing)
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from(sorted({*"AZaz09-_"} - {cursor[at]})))

    assert ["cursor"] == wrong(("cursor", cursor[:at] + other + cursor[at + 1 :]))
    assert ["cursor"] == wrong(("cursor", cursor[:at]))


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_what_is_made_up_is_refused(text: str) -> None:
    """Whatever else stands in the place of a cursor is a refusal, not an error of ours."""
    assert ["cursor"] == wrong(("cursor", text))


def test_filters_beside_a_cursor() -> None:
    """Filters may stand beside a cursor when they are its own; the limit may change."""
    cursor = cursor_of(Listing(after=(5, "a"), status=Status.PASS, since_ms=3, limit=7))

    same = read_query([("cursor", cursor), ("status", "pass"), ("since", "3"), ("limit", "9")])

    assert same == Listing(after=(5, "a"), status=Status.PASS, since_ms=3, limit=9)
    assert ["cursor"] == wrong(("cursor", cursor), ("status", "fail"))
    assert ["cursor"] == wrong(("cursor", cursor), ("since", "4"))


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("0", 0),
        ("1763822000123", 1_763_822_000_123),
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T01:00:00.25+01:00", 250),
        ("0001-01-01T00:00:00+14:00", 0),
    ],
)
def test_since(text: str, ms: int) -> None:
    """A moment is given in milliseconds, or as documents have it."""
    assert ms == read_query([("since", text)]).since_ms


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("status", text) for text in ("", "Pass", "open", "started,pass")),
        *(("since", text) for text in ("", "-1", "1e3", "NaN", "\u0663", "9" * 16, "9" * 5000)),
        *(("since", text) for text in ("yesterday", "2026-11-25", "2026-11-25T00:00:00")),
        *(("limit", text) for text in ("", "0", "-1", "501", "ten", "1.0", " 5", "\u0665")),
        ("cursor", ""),
        ("page", "2"),
        ("Status", "pass"),
    ],
)
def test_refused(name: str, text: str) -> None:
    """What is none of a parameter's values, or no parameter, is refused by name."""
    assert [name] == wrong((name, text))


def test_all_faults_at_once() -> None:
    """All that is wrong is said together; a parameter must not stand twice."""
    assert ["status", "limit"] == wrong(("status", "x"), ("limit", "x"))
    assert ["limit"] == wrong(("limit", "5"), ("limit", "5"))
