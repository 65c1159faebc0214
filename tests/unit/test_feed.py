"""Feed: what an entry of the stream of events is read as."""

import json

import pytest

from filestore.exam import transition
from filestore.fact import Fact, Type
from ingest.feed import Happening, happening
from tasks.changes import changes, event_fields

DATA = {"pk": "math-7", "status": "pass", "command": "c2"}


def entry(**fields: str) -> Happening | None:
    """Read an entry with these fields."""
    return happening(b"1-0", {name.encode(): value.encode() for name, value in fields.items()})


def test_what_a_worker_writes() -> None:
    """An exam's event says which exam and which command, by the words of the worker."""
    start = Fact(at_ms=1, entry="1-0", command="c1", source=None, type=Type.START, value=9)
    applied = transition("math-7", None, [start])
    assert applied.exam
    (change,) = changes(applied.exam, applied.new)

    found = entry(**event_fields(change, applied.exam))

    assert found
    assert (found.type, found.pk, found.command) == ("exam.started", "math-7", "c1")
    assert found.data["deadline"] == "1970-01-01T00:00:09.001Z"


def test_what_it_does_not_name() -> None:
    """An event without a pk or a command says nothing there, and is an event all the same."""
    found = entry(type="exam.refused", data="{}")

    assert found
    assert (found.pk, found.command) == ("", "")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"type": "exam.pass"},
        {"data": "{}"},
        {"type": "exam.pass", "data": "{"},
        {"type": "exam.pass", "data": "[]"},
        {"type": "exam.pass", "data": "[" * 100_000},
        {"type": "gap", "data": json.dumps(DATA)},
        {"type": "exam.pass\ndata: forged", "data": json.dumps(DATA)},
    ],
)
def test_what_is_none_of_ours(fields: dict[str, str]) -> None:
    """What no worker of ours wrote is nobody's event, and ends nothing."""
    assert entry(**fields) is None
