"""Grammar: whether a line of the log is as the vocabulary has it."""

from collections.abc import Mapping

from ops.events import Event
from ops.glossary import COMMON
from ops.vocabulary import VOCABULARY


def check(line: Mapping[str, object]) -> list[str]:
    """
    Say what is wrong about a parsed line; nothing, when it is as the vocabulary has it.

    A line with a `logger` is a library's record: its `event` is a sentence of its own, and what
    else stands in it is the library's business.
    """
    if "logger" in line:
        return []
    try:
        event = Event(str(line.get("event")))
    except ValueError:
        return [f"{line.get('event')!r} is no event"]
    required = (*COMMON, *VOCABULARY[event].required)
    missing = [f"{event} lacks {key}" for key in required if key not in line]
    unknown = [f"{event} must not have {key}" for key in unknown_keys(event, line)]
    return [*missing, *unknown]


def unknown_keys(event: Event, line: Mapping[str, object]) -> list[str]:
    """List the keys that a line of this event has and must not have."""
    return [key for key in line if key not in VOCABULARY[event].keys]
