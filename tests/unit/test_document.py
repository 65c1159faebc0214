"""An exam as the JSON document on disk."""

import json
from typing import Any

import pytest
from support.documents import to_document

from filestore.document import Damaged, from_document, from_iso, iso, to_text
from filestore.exam import Exam, transition
from filestore.fact import Fact, Type

#: 2025-11-22T14:33:20.123Z
T0 = 1_763_822_000_123


def fact(after_ms: int, kind: Type, value: int | str, *, source: str | None = None) -> Fact:
    """A command that arrived *after_ms* milliseconds after T0."""
    at_ms = T0 + after_ms
    entry = f"{at_ms}-0"
    return Fact(at_ms=at_ms, entry=entry, command=entry, source=source, type=kind, value=value)


def decided() -> Exam:
    """An exam with a start, a result that counts, and an expiry that does not."""
    facts = [
        fact(0, Type.START, 1),
        fact(500, Type.FINISH, "pass", source="school"),
        fact(1_001, Type.EXPIRE, T0 + 1_000),
    ]
    exam = transition("math-7", None, facts).exam
    assert exam is not None
    return exam


def test_document_is_readable() -> None:
    """The file says what a person or jq looks for: the status and its three moments."""
    document = to_document(decided())
    history = document.pop("history")

    assert document == {
        "pk": "math-7",
        "status": "pass",
        "started_at": "2025-11-22T14:33:20.123Z",
        "deadline": "2025-11-22T14:33:21.123Z",
        "decided_at": "2025-11-22T14:33:20.623Z",
    }
    assert ["exam.start", "exam.finish", "exam.expire"] == [entry["type"] for entry in history]


def test_history_says_who_said_what_and_what_it_did() -> None:
    """An entry of the history has the command, its entry and source, its value, its verdict."""
    entry = to_document(decided())["history"][1]

    assert entry == {
        "at": "2025-11-22T14:33:20.623Z",
        "entry": "1763822000623-0",
        "command": "1763822000623-0",
        "type": "exam.finish",
        "status": "pass",
        "verdict": "applied",
        "source": "school",
    }


def test_expiry_names_its_deadline_and_the_refusal_its_reason() -> None:
    """In the history the deadline of an expiry is a moment, and a refusal says why."""
    entry = to_document(decided())["history"][2]

    assert ("2025-11-22T14:33:21.123Z", "already decided") == (entry["deadline"], entry["reason"])


def test_open_exam_has_no_decision() -> None:
    """An exam that is open says that nothing has been decided."""
    exam = transition("math-7", None, [fact(0, Type.START, 1)]).exam

    assert exam is not None
    assert to_document(exam)["decided_at"] is None


def test_round_trip() -> None:
    """What was written is read back the same."""
    assert decided() == from_document(to_document(decided()), pk="math-7")


def test_unknown_fields_are_ignored() -> None:
    """A newer release may have written more; it is read all the same."""
    document = to_document(decided())
    document["room"] = document["history"][0]["invigilator"] = "B 12"

    assert decided() == from_document(document, pk="math-7")


def test_task_that_is_no_text() -> None:
    """A task is for people: one that somebody has made a number is in nobody's way."""
    document = to_document(decided())
    document["history"][1]["task"] = 5

    exam = from_document(document, pk="math-7")

    assert to_document(exam)["history"][1]["task"] == "5"


@pytest.mark.parametrize(
    "change",
    [
        {"pk": "math-8"},
        {"pk": None},
        {"status": "fail"},
        {"status": "passed"},
        {"status": None},
        {"history": []},
        {"history": {}},
        {"history": None},
        {"history": [None]},
        {"history": [[]]},
    ],
)
def test_changed_document_is_damaged(change: dict[str, Any]) -> None:
    """A document of another shape or exam, or that contradicts its history, is damaged."""
    document = to_document(decided()) | change

    with pytest.raises(Damaged):
        from_document(document, pk="math-7")


@pytest.mark.parametrize(
    "change",
    [
        {"at": "yesterday"},
        {"at": "2025-11-22T14:33:20.623"},
        {"at": 1_763_822_000_623},
        {"entry": "first"},
        {"entry": None},
        {"type": "exam.open"},
        {"status": "absent-minded"},
        {"verdict": "fine"},
        {"reason": "because"},
        {"source": ["school"]},
        {"source": 7},
    ],
)
def test_changed_history_is_damaged(change: dict[str, Any]) -> None:
    """An entry of the history that we did not write so makes the document damaged."""
    document = to_document(decided())
    document["history"][1] |= change

    with pytest.raises(Damaged):
        from_document(document, pk="math-7")


@pytest.mark.parametrize("field", ["at", "entry", "command", "type", "status", "verdict"])
def test_missing_field_is_damaged(field: str) -> None:
    """An entry of the history without one of its fields makes the document damaged."""
    document = to_document(decided())
    del document["history"][1][field]

    with pytest.raises(Damaged, match=field):
        from_document(document, pk="math-7")


@pytest.mark.parametrize("document", [None, 7, "math-7", [], {}, [{}]])
def test_other_json_is_damaged(document: object) -> None:
    """JSON that is no document at all is damaged."""
    with pytest.raises(Damaged, match="not an object with pk"):
        from_document(document, pk="math-7")


def test_result_without_start_is_damaged() -> None:
    """A document whose history does not open the exam cannot be ours."""
    document = to_document(decided())
    del document["history"][0]

    with pytest.raises(Damaged, match="no start"):
        from_document(document, pk="math-7")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (T0, "2025-11-22T14:33:20.123Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_moments_are_exact(ms: int, text: str) -> None:
    """A moment is written in UTC with its milliseconds, and read back to the millisecond."""
    assert (text, ms) == (iso(ms), from_iso(text))


def test_moment_of_another_zone_is_understood() -> None:
    """A file that somebody wrote in local time, with its offset, means the same moment."""
    assert from_iso("2025-11-22T15:33:20.123+01:00") == T0


@pytest.mark.parametrize("source", [None, "school", 'a "b" \\ ü€\u2028 \x7f'])
def test_text(source: str | None) -> None:
    """The text is what Python's own JSON writes, whatever stands in the document."""
    start = fact(0, Type.START, 5, source=source)
    for facts in ([start], [start, fact(1, Type.FINISH, "pass"), fact(9_000, Type.EXPIRE, 5_000)]):
        exam = transition("a", None, facts).exam
        assert exam
        plain = json.dumps(to_document(exam), ensure_ascii=False, indent=1) + "\n"
        assert to_text(exam) == plain
