"""Asyncapi: the description of the streams in Redis, made from the same models. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

from filestore.fact import Status
from ingest.calls.samples import DEAD, ECHOES, EVENT, RESULTS, STARTED
from ingest.commands import MAX_DATA_BYTES, TYPES, Envelope
from ingest.openapi import SCHEMAS, needed
from ingest.shapes import ECMA, schemas
from ops import keys, trace

VERSION = "3.0.0"
ABOUT = (
    "The streams of Invigil in Redis, for who produces commands with XADD or follows what changes "
    "with XREAD. One entry is one message. Of commands and events, the payload is the entry's "
    "field `data`, one JSON object, and the headers are its other fields, by the names of "
    "CloudEvents. Of a dead letter, the payload is all of its fields."
)
#: Type of the event that a refusal makes.
REFUSED = "exam.refused"
_EVENTS: Mapping[str, str] = {
    f"exam.{Status.STARTED}": "An exam was started.",
    f"exam.{Status.PASS}": "An exam was passed.",
    f"exam.{Status.FAIL}": "An exam was failed.",
    f"exam.{Status.ABSENT}": "An exam's deadline passed without a result.",
    REFUSED: "A command was refused, and its exam stays as it was.",
}
_EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "exam.start": STARTED["named"],
    "exam.finish": {"pk": "math-7", **RESULTS["passed"]},
    "exam.expire": {"pk": "math-7", "deadline": 1_795_567_749_909},
    "echo": ECHOES["hello"],
}
_FIELDS = {
    "id": "The producer's own id, for deduplication within one source; without it, the entry's.",
    "source": "Who produced it.",
}


def document(*, version: str) -> dict[str, Any]:
    """
    Describe the three streams.

    Args:
        version: Of the product.
    """
    channels = {
        "commands": _channel(keys.COMMANDS, "What is to be done.", TYPES),
        "events": _channel(keys.EVENTS, "What changed; about the last 100,000.", _EVENTS),
        "dead": _channel(keys.DEAD, "Entries set aside for people, with the reason.", ["dead"]),
    }
    messages = {
        **{name: _command(name) for name in TYPES},
        **{name: _event(name, text) for name, text in _EVENTS.items()},
        "dead": _dead(),
    }
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Invigil's streams",
            "version": version,
            "description": ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            "takeCommands": _operation("receive", "commands", "Applies each command once."),
            "tellEvents": _operation("send", "events", "Tells what changed."),
            "buryEntries": _operation("send", "dead", "Sets aside what cannot be applied."),
        },
        "components": {"messages": messages, "schemas": needed(schemas(SCHEMAS), [messages])},
    }


def _channel(address: str, text: str, messages: Collection[str]) -> dict[str, Any]:
    named = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {"address": address, "description": f"A Redis stream. {text}", "messages": named}


def _operation(action: str, channel: str, text: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": text}


def _command(name: str) -> dict[str, Any]:
    model = TYPES[name]
    return {
        "name": name,
        "summary": (model.__doc__ or "").strip(),
        "description": f"`data` has at most {MAX_DATA_BYTES:,} bytes.",
        "contentType": "application/json",
        "headers": _command_fields(name),
        "payload": _reference(model.__name__),
        "correlationId": {"location": "$message.header#/id"},
        "examples": [{"headers": {"type": name}, "payload": dict(_EXAMPLES[name])}],
    }


def _command_fields(name: str) -> dict[str, Any]:
    """Describe the fields beside ``data``; those that the contract does not know are ignored."""
    given = Envelope.model_json_schema()["properties"]
    optional = {}
    for field, text in _FIELDS.items():
        rule = given[field]["anyOf"][0]
        optional[field] = {**rule, "pattern": ECMA[rule["pattern"]], "description": text}
    traced = {"type": "string", "description": "The producer's trace, as the W3C has it."}
    properties = {"type": {"const": name}, **optional, trace.NAME: traced}
    return {"type": "object", "required": ["type"], "properties": properties}


def _event(name: str, text: str) -> dict[str, Any]:
    is_refusal = name == REFUSED
    shown = {**EVENT, "status": name.removeprefix("exam.")}
    if is_refusal:
        shown |= {"status": "pass", "verdict": "refused", "reason": "already decided"}
    return {
        "name": name,
        "summary": text,
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"const": name}},
        },
        "payload": _reference("ExamEvent"),
        "examples": [{"headers": {"type": name}, "payload": shown}],
    }


def _dead() -> dict[str, Any]:
    return {
        "name": "dead",
        "summary": "An entry that is no command, or failed too often.",
        "description": "`invigil dead` lists, shows, replays and discards them.",
        "payload": _reference("DeadLetter"),
        "examples": [{"payload": DEAD}],
    }


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"{SCHEMAS}{schema}"}
