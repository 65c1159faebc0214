"""The closed list of events, compared with the code both ways."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.events import Event

ROOT = Path(__file__).parents[2]
PRODUCT = ("ingest", "dispatcher", "tasks", "filestore", "ops")
LIST = ROOT / "ops/events.py"
#: What has a method of a level's name, and is no logger: an asyncio task has an exception.
NO_LOGGERS = {"task"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "fatal"}
FILES = [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]


def tree(path: Path) -> ast.Module:
    """The syntax of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


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


def is_event(node: ast.expr, known: set[str]) -> bool:
    """Whether an expression can only be an event: a member, one of two, or of a table of them."""
    match node:
        case ast.Attribute(value=ast.Name(id="Event"), attr=name):
            return name in Event.__members__
        case ast.IfExp(body=one, orelse=other):
            return is_event(one, known) and is_event(other, known)
        case ast.Dict(values=values):
            return bool(values) and all(is_event(value, known) for value in values)
        case ast.Subscript(value=ast.Name(id=name)) | ast.Name(id=name):
            return name in known
        case _:
            return False


def event_names(syntax: ast.Module) -> set[str]:
    """Variables and tables that hold nothing but events."""
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(syntax):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                assigned.setdefault(name, []).append(value)
    return {
        name for name, values in assigned.items() if all(is_event(value, set()) for value in values)
    }


def log_calls(syntax: ast.Module) -> Iterator[ast.Call]:
    """Calls of a method that has a level's name: what has one in our code is a logger."""
    for node in ast.walk(syntax):
        match node:
            case ast.Call(func=ast.Attribute(value=logger, attr=name)) if name in LEVELS:
                if ast.unparse(logger) not in NO_LOGGERS:
                    yield node


@pytest.mark.parametrize("event", list(Event))
def test_every_event_is_written_somewhere(event: Event) -> None:
    """No name stands in the list that no line has."""
    used = {name for path in FILES if path != LIST for name in members(tree(path))}

    assert event.name in used


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_line_has_an_event(path: Path) -> None:
    """No line is written under a name that is not in the list."""
    syntax = tree(path)
    known = event_names(syntax)

    strangers = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)[:60]}"
        for call in log_calls(syntax)
        if not call.args or not is_event(call.args[0], known)
    ]
    assert strangers == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_mentioned_event_is_in_the_list(path: Path) -> None:
    """No code mentions an event that the list does not have."""
    assert set(members(tree(path))) <= set(Event.__members__)


@pytest.mark.parametrize("event", list(Event))
def test_every_event_says_when(event: Event) -> None:
    """Each name in the list has a comment above it that says when it is written."""
    text = LIST.read_text().splitlines()
    line = next(n for n, code in enumerate(text) if code.startswith(f"    {event.name} ="))

    assert text[line - 1].strip().startswith("#: ")


@pytest.mark.parametrize("event", list(Event))
def test_value_is_the_name(event: Event) -> None:
    """What stands in a line is found by the same word in the code."""
    assert event.value == event.name.lower()


def test_list_knows_no_name_twice() -> None:
    """Each line means one thing."""
    assert len(Event.__members__) == len({event.value for event in Event})
