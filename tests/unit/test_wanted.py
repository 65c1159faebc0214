"""Wanted: what a reader of events can ask for, and what it is told when it asks for nonsense."""

import json

import pytest

from filestore.fact import Status
from ingest.feed import GAP, Happening
from ingest.positions import Position
from ingest.problems import Refusal
from ingest.wanted import TYPES, Wanted, wanted


def refused(query: list[tuple[str, str]], *headers: str) -> list[str]:
    """Ask for nonsense; return the names of the fields that are wrong."""
    with pytest.raises(Refusal) as refusal:
        wanted(query, headers)
    document = refusal.value.problem.document()
    assert (document["status"], document["type"]) == (422, "urn:invigil:problem:invalid-query")
    errors = json.loads(json.dumps(document["errors"]))
    return [error["field"] for error in errors]


def test_nothing_asked() -> None:
    """Who asks for nothing in particular gets all, from now on."""
    assert wanted([], []) == Wanted(after=None, pks=frozenset(), types=frozenset())


def test_filters() -> None:
    """Exams and types can be named more than once."""
    query = [("pk", "a"), ("type", "exam.pass"), ("pk", "b"), ("pk", "a"), ("type", "exam.fail")]

    found = wanted(query, [])

    assert found.pks == {"a", "b"}
    assert found.types == {"exam.pass", "exam.fail"}


def test_header_goes_before_parameter() -> None:
    """A browser that comes again repeats its URL: the header tells how far it is."""
    assert wanted([("last_event_id", "5-0")], ["7-1"]).after == Position(7, 1)
    assert wanted([("last_event_id", "5-0")], []).after == Position(5, 0)
    assert wanted([("last_event_id", "5-0")], [""]).after == Position(5, 0)


@pytest.mark.parametrize(
    ("query", "headers", "fields"),
    [
        ([], ["x"], ["Last-Event-ID"]),
        ([], ["1-0", "2-0"], ["Last-Event-ID"]),
        ([("last_event_id", "")], [], ["last_event_id"]),
        ([("last_event_id", "$")], ["1-0"], ["last_event_id"]),
        ([("last_event_id", "1-0"), ("last_event_id", "1-0")], [], ["last_event_id"]),
        ([("pk", "../etc")], [], ["pk"]),
        ([("pk", "")], [], ["pk"]),
        ([("type", "exam.passed")], [], ["type"]),
        ([("type", "gap")], [], ["type"]),
        ([("limit", "5"), ("limit", "5"), ("pks", "a")], [], ["limit", "pks"]),
        ([("pk", "/"), ("type", "x")], ["-"], ["pk", "type", "Last-Event-ID"]),
    ],
)
def test_nonsense(query: list[tuple[str, str]], headers: list[str], fields: list[str]) -> None:
    """Each parameter that is wrong is named."""
    assert refused(query, *headers) == fields


def test_hostile_name_is_shown_in_bounds() -> None:
    """A parameter's name does not come back in full, nor with characters that a terminal obeys."""
    (field,) = refused([("\x1b[2J" * 1000, "1")])

    assert len(field) <= 80
    assert field.isprintable()


def test_every_status_has_its_type() -> None:
    """Whatever an exam can come to can be asked for."""
    assert {f"exam.{status}" for status in Status} < set(TYPES)


@pytest.mark.parametrize(
    ("asked", "is_in"),
    [
        (Wanted(), True),
        (Wanted(pks=frozenset({"a"})), True),
        (Wanted(pks=frozenset({"b"})), False),
        (Wanted(types=frozenset({"exam.pass"})), True),
        (Wanted(types=frozenset({"exam.fail"})), False),
        (Wanted(pks=frozenset({"a"}), types=frozenset({"exam.fail"})), False),
        (Wanted(pks=frozenset({"b", "a"}), types=frozenset({"exam.fail", "exam.pass"})), True),
    ],
)
def test_what_is_had(asked: Wanted, *, is_in: bool) -> None:
    """An event comes to who asks for its exam and for its type; a gap comes to all."""
    assert asked.has(Happening("1-0", "exam.pass", {"pk": "a"})) is is_in
    assert asked.has(Happening("1-0", GAP, {}))
