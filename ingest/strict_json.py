"""Strict JSON: one value that every language reads alike, or the fault in it."""

import json
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any, NoReturn

import msgspec

from ingest.faults import Fault, InvalidCommand, shorten

_decode = msgspec.json.Decoder(dict[str, object]).decode
#: Beside texts, values in which no quotation mark can stand. Numbers with a point are left out: 5e0
#: is one to some.
_SIMPLE = frozenset({int, bool, type(None)})


def load_json(text: bytes, *, called: str = "data") -> object:
    """
    Parse one JSON value, more strictly than Python does; fast where it is an ordinary object.

    Args and errors are those of `load_with_care`.
    """
    values = load_plain(text)
    return load_with_care(text, called=called) if values is None else values


def load_plain(text: bytes) -> dict[str, object] | None:
    """
    Parse an object of texts and whole numbers, or of such objects, without escapes.

    What reads JSON fast would not say that a name stands twice in an object. But each name has two
    quotation marks, and so has each text; there are no others.

    Returns:
        None for everything else, and for what is to be refused.
    """
    if b"\\" in text:
        return None
    try:
        values = _decode(text)
        return values if text.count(b'"') == 2 * _named(values) else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def load_with_care(text: bytes, *, called: str = "data") -> object:
    """
    Parse one JSON value, more strictly than Python does.

    Args:
        called: Name of the field that a fault of the whole is told of.

    Raises:
        InvalidCommand: Not UTF-8, not JSON, NaN or Infinity, the same key twice, a number or a
            nesting that no honest sender needs.
    """
    try:
        return _decoder(called).decode(text.decode("utf-8"))
    except RecursionError:
        raise InvalidCommand(Fault(called, "is nested too deeply")) from None
    except UnicodeDecodeError as error:
        raise InvalidCommand(Fault(called, f"is not UTF-8 at byte {error.start}")) from None
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")  # one of its messages says it already
        message = f"is not JSON: {what} at character {error.pos}"
        raise InvalidCommand(Fault(called, message)) from None
    except InvalidCommand:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise InvalidCommand(Fault(called, f"is not acceptable JSON: {error}")) from None


@lru_cache
def _decoder(called: str) -> json.JSONDecoder:
    """Make what reads the field; to make it costs as much as to read a command."""
    return json.JSONDecoder(parse_constant=partial(_no_constant, called), object_pairs_hook=_unique)


def _no_constant(called: str, name: str) -> NoReturn:
    raise InvalidCommand(Fault(called, f"is not JSON: {name}"))


def _named(values: Mapping[str, object]) -> int:
    """Count the names and texts of an object; less than none, if there is anything else in it."""
    count = len(values)
    for value in values.values():
        kind = type(value)
        if kind is str:
            count += 1
        elif kind is dict:
            count += _named(value)  # type: ignore[arg-type]
        elif kind not in _SIMPLE:
            return -len(values) - 1_000_000_000
    return count


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidCommand(Fault(shorten(twice), "stands twice in the same object"))
    return values
