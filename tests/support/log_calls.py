"""Log calls: which events the code writes, and with which keys, read from its syntax."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ops.events import Event

ROOT = Path(__file__).parents[2]
PRODUCT = ("ingest", "dispatcher", "tasks", "filestore", "ops")
FILES = [path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py"))]
#: What has a method of a level's name, and is no logger: an asyncio task has an exception.
NO_LOGGERS = {"task"}
#: Loggers that nothing is bound to.
BARE_LOGGERS = {"log", "_log"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "fatal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCall:
    """
    A call that writes a line.

    Attributes:
        events: Names of the events it may have; none when the code does not tell.
        keys: What the line has besides what the context binds.
        is_all: Whether these are all of them; else some came from where the code does not tell.
    """

    where: str
    events: frozenset[str]
    keys: frozenset[str]
    is_all: bool


@cache
def tree(path: Path) -> ast.Module:
    """The syntax of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def log_calls(path: Path) -> list[LogCall]:
    """Every call of a file that writes a line."""
    syntax = tree(path)
    known_events = _known_events(syntax)
    known_keys = _known_keys(syntax)
    bound = _bound(syntax)
    found = []
    for call, logger, level in _calls(syntax):
        given, is_all = _given(call, known_keys)
        given |= {"exception"} if level == "exception" else set()
        found.append(
            LogCall(
                where=f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)[:60]}",
                events=frozenset(_events(call.args[0], known_events) if call.args else ()),
                keys=frozenset(given if logger in BARE_LOGGERS else given | bound),
                is_all=is_all,
            )
        )
    return found


def _calls(syntax: ast.Module) -> Iterator[tuple[ast.Call, str, str]]:
    """Calls of a method that has a level's name: what has one in our code is a logger."""
    for node in ast.walk(syntax):
        match node:
            case ast.Call(func=ast.Attribute(value=logger, attr=level)) if level in LEVELS:
                if ast.unparse(logger) not in NO_LOGGERS:
                    yield node, ast.unparse(logger), level


def _events(node: ast.expr, known: Mapping[str, set[str]]) -> set[str]:
    """List the events that an expression may be: a member, one of two, or of a table of them."""
    match node:
        case ast.Attribute(value=ast.Name(id="Event"), attr=name):
            return {name} & set(Event.__members__)
        case ast.IfExp(body=one, orelse=other):
            return _all_of(_events(part, known) for part in (one, other))
        case ast.Dict(values=values):
            return _all_of(_events(value, known) for value in values)
        case ast.Subscript(value=ast.Name(id=name)) | ast.Name(id=name):
            return known.get(name, set())
        case _:
            return set()


def _known_events(syntax: ast.Module) -> dict[str, set[str]]:
    """Variables and tables that hold nothing but events, and which."""
    assigned: dict[str, list[ast.expr]] = {}
    for name, value in _assigned(syntax):
        assigned.setdefault(name, []).append(value)
    return {
        name: _all_of(_events(value, {}) for value in values) for name, values in assigned.items()
    }


def _all_of(parts: Iterable[set[str]]) -> set[str]:
    """All of them together; nothing when one of them is not known."""
    known = list(parts)
    return set().union(*known) if all(known) else set()


def _given(call: ast.Call, known: Mapping[str, set[str]]) -> tuple[set[str], bool]:
    """Names of a call's keyword arguments, and whether these are all."""
    given: set[str] = set()
    is_all = True
    for keyword in call.keywords:
        if keyword.arg is None:
            keys = known.get(_named(keyword.value), set())
            is_all &= bool(keys)
            given |= keys
        else:
            given.add("exception" if keyword.arg == "exc_info" else keyword.arg)
    return given, is_all


def _known_keys(syntax: ast.Module) -> dict[str, set[str]]:
    """Keys of the dicts that variables hold and functions return, where they are written out."""
    known: dict[str, set[str]] = {}
    for node in ast.walk(syntax):
        match node:
            case ast.FunctionDef(name=name, body=[*_, ast.Return(value=ast.Dict() as value)]):
                known[name] = _keys(value)
    for name, assigned in _assigned(syntax):
        known[name] = (
            _keys(assigned)
            if isinstance(assigned, ast.Dict)
            else known.get(_named(assigned), set())
        )
    return known


def _keys(node: ast.Dict) -> set[str]:
    """Keys of a dict; none when one of them is not written out."""
    keys = {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
    return keys if len(keys) == len(node.keys) else set()


def _named(node: ast.expr) -> str:
    """Name of a variable, or of the function that is called."""
    match node:
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
            return name
        case _:
            return ""


def _bound(syntax: ast.Module) -> set[str]:
    """Keys that a file binds to a logger of its own."""
    return {
        keyword.arg or ""
        for node in ast.walk(syntax)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "log.bind"
        for keyword in node.keywords
    }


def _assigned(syntax: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Variables, and what is assigned to them."""
    for node in ast.walk(syntax):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
