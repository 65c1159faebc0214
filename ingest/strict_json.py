"""Strict JSON: one value that every language reads alike, or the fault in it."""

import json
from functools import lru_cache, partial
from typing import Any, NoReturn

from ingest.faults import Fault, InvalidCommand, shorten


def load_json(text: bytes, *, called: str = "data") -> object:
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


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidCommand(Fault(shorten(twice), "stands twice in the same object"))
    return values
