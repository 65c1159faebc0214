"""The closed list of events and their keys, compared with the code both ways."""

import ast
from pathlib import Path

import pytest
from support.log_calls import FILES, ROOT, LogCall, log_calls, tree

from ops.events import Event
from ops.glossary import COMMON, CONTEXT, IN_REQUEST, IN_TASK, KEYS
from ops.vocabulary import VOCABULARY

#: Files that list the events and write no line.
LISTS = {ROOT / "ops/events.py", ROOT / "ops/vocabulary.py"}
CALLS = [call for path in FILES for call in log_calls(path)]
#: Keys that no call of a folder need write: they are bound to all that is said there.
BOUND = {"tasks": IN_TASK, "ingest": IN_REQUEST}
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
every_event = pytest.mark.parametrize("event", list(Event))


def members(node: ast.AST) -> list[str]:
    """Names of the events that a piece of code mentions."""
    return [
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute)
        and isinstance(part.value, ast.Name)
        and part.value.id == "Event"
        and part.attr.isupper()
    ]


#: Names of all events that a file mentions, besides those that list them.
USED = {name for path in FILES if path not in LISTS for name in members(tree(path))}


def calls_of(event: Event) -> list[LogCall]:
    """Calls that may write an event's lines."""
    return [call for call in CALLS if event.name in call.events]


@every_event
def test_every_event_is_written_somewhere(event: Event) -> None:
    """No name stands in the list that no line has."""
    assert event.name in USED


@every_file
def test_every_line_has_an_event(path: Path) -> None:
    """No line is written under a name that is not in the list."""
    assert [] == [call.where for call in log_calls(path) if not call.events]


@every_file
def test_every_mentioned_event_is_in_the_list(path: Path) -> None:
    """No code mentions an event that the list does not have."""
    assert set(members(tree(path))) <= set(Event.__members__)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.where)
def test_no_key_is_unknown(call: LogCall) -> None:
    """No call writes a key that its event must not have."""
    unknown = {name: call.keys - VOCABULARY[Event[name]].keys for name in call.events}

    assert {} == {name: keys for name, keys in unknown.items() if keys}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.where)
def test_no_key_is_missing(call: LogCall) -> None:
    """Every call writes what its event's lines must have, unless it is bound elsewhere."""
    bound = BOUND.get(call.where.partition("/")[0], ())
    required = {name: set(VOCABULARY[Event[name]].required) for name in call.events}
    missing = {name: keys - call.keys - {*bound} for name, keys in required.items()}

    assert not call.is_all or not any(missing.values()), missing


@every_event
def test_no_key_is_invented(event: Event) -> None:
    """The vocabulary gives no event a key of its own that no call writes."""
    calls = calls_of(event)
    kind = VOCABULARY[event]
    written = {key for call in calls for key in call.keys}
    invented = {*kind.required, *kind.optional} - {*CONTEXT} - written
    is_known = bool(calls) and all(call.is_all for call in calls)

    assert set() == invented or not is_known


def test_calls_are_understood() -> None:
    """The keys of most calls can be read from the code, or the tests above would prove little."""
    assert sum(call.is_all for call in CALLS) > 0.9 * len(CALLS) > 50


def test_every_event_says_when() -> None:
    """Each name has a kind, in the order of the list, that says who writes it and when."""
    assert list(Event) == list(VOCABULARY)
    assert all(": " in kind.when for kind in VOCABULARY.values())


def test_every_key_has_a_meaning() -> None:
    """The glossary has each key that a line may have, and no other; `logger` marks foreign ones."""
    used = {key for kind in VOCABULARY.values() for key in kind.keys}

    assert used | {"logger"} == set(KEYS)


@every_event
def test_no_key_is_listed_twice(event: Event) -> None:
    """A key is required or optional, and is not said again where it is every line's."""
    kind = VOCABULARY[event]
    listed = [*kind.required, *kind.optional, *COMMON]

    assert len(listed) == len(set(listed))


@every_event
def test_value_is_the_name(event: Event) -> None:
    """What stands in a line is found by the same word in the code."""
    assert event.value == event.name.lower()


def test_list_knows_no_name_twice() -> None:
    """Each line means one thing."""
    assert len(Event.__members__) == len({event.value for event in Event})


def test_what_an_audit_needs() -> None:
    """Only what changes nothing can be kept out of the log by a level."""
    spared = {event for event, kind in VOCABULARY.items() if not kind.is_audit}

    assert spared == {
        Event.REQUEST_REFUSED,
        Event.BULK_READ,
        Event.CONNECTIONS_CUT,
        Event.MAIL_SKIPPED,
        Event.OUTPUT,
        Event.TELEMETRY_OFF,
        Event.READING_PAUSED,
        Event.READING_RESUMED,
        Event.ONE_BY_ONE,
        Event.TRIMMED,
        Event.LEFTOVERS_SWEPT,
    }
