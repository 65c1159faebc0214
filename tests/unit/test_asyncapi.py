"""The AsyncAPI document: valid by the official schema, and true of what lies in the streams."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from filestore.exam import transition
from filestore.fact import Fact, Type
from ingest.asyncapi import document
from ingest.commands import TYPES, Command, Echo, encode
from ops import keys, trace
from tasks.changes import changes, event_fields

#: The official schema of AsyncAPI 3.0.0, as it is; its licence lies beside it.
SCHEMA = json.loads((Path(__file__).parents[1] / "support/asyncapi-3.0.0.json").read_text())
DOCUMENT = document(version="1.2.3")


def faults(schema: dict[str, Any], value: object) -> list[str]:
    """What is wrong with a value, by a schema of the document."""
    validator = Draft202012Validator({"components": DOCUMENT["components"], **schema})
    return [error.message for error in validator.iter_errors(value)]


def message(name: str) -> dict[str, Any]:
    """Find a message by its name."""
    found: dict[str, Any] = DOCUMENT["components"]["messages"][name]
    return found


def test_document_is_valid() -> None:
    """The document is AsyncAPI by the official schema, which refuses one with a misspelled word."""
    validator = Draft7Validator(SCHEMA)
    channels = DOCUMENT["channels"]
    misspelled = {**DOCUMENT, "channels": {**channels, "dead": {"adress": keys.DEAD}}}

    assert [] == [error.message for error in validator.iter_errors(DOCUMENT)]
    assert not validator.is_valid(misspelled)


def test_references_lead_somewhere() -> None:
    """Each channel's message is there, and each operation's channel."""
    messages = DOCUMENT["components"]["messages"]
    named = [
        one["$ref"].rpartition("/")[2]
        for channel in DOCUMENT["channels"].values()
        for one in channel["messages"].values()
    ]
    used = {one["channel"]["$ref"].rpartition("/")[2] for one in DOCUMENT["operations"].values()}

    assert sorted(named) == sorted(messages)
    assert used == set(DOCUMENT["channels"])


def test_every_stream_is_a_channel() -> None:
    """The three streams stand there by their keys, the commands with every type there is."""
    channels = DOCUMENT["channels"]

    assert {one["address"] for one in channels.values()} == {keys.COMMANDS, keys.EVENTS, keys.DEAD}
    assert set(channels["commands"]["messages"]) == set(TYPES)


def test_examples_are_what_they_show() -> None:
    """Each example fits the schemas of its message."""
    for one in DOCUMENT["components"]["messages"].values():
        for shown in one["examples"]:
            assert [] == faults(one["payload"], shown["payload"])
            assert [] == faults(one.get("headers", {}), shown.get("headers", {}))


def test_entry_is_as_described() -> None:
    """A command with all that it may have is, field by field, what the document says."""
    command = Command(data=Echo(text="hi"), id="one", source="school", trace=trace.new())
    fields = encode(command)
    data = json.loads(fields.pop("data"))
    described = message("echo")

    assert [] == faults(described["headers"], fields)
    assert set(fields) == set(described["headers"]["properties"])
    assert [] == faults(described["payload"], data)
    assert faults(described["headers"], {**fields, "id": "with\ncontrol"})
    assert faults(described["headers"], {**fields, "type": "exam.start"})


@pytest.mark.parametrize("value", ["pass", "fail"])
def test_event_is_as_described(value: str) -> None:
    """What an exam's worker tells of a start and of a result is what the document says."""
    at = 1_763_822_000_000
    facts = [
        Fact(at_ms=at, entry=f"{at}-0", command="c1", source=None, type=Type.START, value=120),
        Fact(at_ms=at, entry=f"{at}-1", command="c2", source=None, type=Type.FINISH, value=value),
    ]
    after = transition("math-7", None, facts)
    assert after.exam

    told = [event_fields(change, after.exam) for change in changes(after.exam, after.new)]

    assert [f"exam.{status}" for status in ("started", value)] == [one["type"] for one in told]
    for one in told:
        described = message(one["type"])
        assert [] == faults(described["payload"], json.loads(one.pop("data")))
        assert [] == faults(described["headers"], one)
