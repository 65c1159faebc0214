"""Faults: what is wrong with a command, in words that are safe to show anywhere."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

#: Faults that are listed; a sender who has more learns enough from these.
MOST_FAULTS = 8
#: Characters of what was received that are shown.
MOST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a command."""

    field: str
    message: str


class InvalidCommand(ValueError):  # noqa: N818 - names what was received
    """A command does not decode or validate; it is the sender's fault and is never retried."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = faults


def of_validation(error: ValidationError, *, asked: Mapping[str, str]) -> list[Fault]:
    """
    List the faults that pydantic found, the first few of them.

    Args:
        asked: What each pattern asks for, in words.
    """
    found = error.errors(include_url=False)
    faults = [Fault(_place(seen["loc"]), _message(seen, asked)) for seen in found[:MOST_FAULTS]]
    more = len(found) - len(faults)
    return [*faults, *([Fault("data", f"has {more} more faults")] if more else [])]


def kind(value: object) -> str:
    """Say what a JSON value is that should have been an object."""
    kinds = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


def shorten(text: str) -> str:
    """Show what was seen, in bounded length and without characters that a terminal obeys."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= MOST_SHOWN else f"{shown[: MOST_SHOWN - 3]}..."


def _place(location: Iterable[int | str]) -> str:
    return shorten(".".join(str(part) for part in location)) or "data"


def _message(fault: Mapping[str, Any], asked: Mapping[str, str]) -> str:
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a field of this command"
        case "string_pattern_mismatch":
            message = asked[fault["ctx"]["pattern"]]
        case _:
            message = f"{str(fault['msg'])[:1].lower()}{str(fault['msg'])[1:]}"
    return f"{message}, not {shorten(_as_json(fault['input']))}"


def _as_json(value: object) -> str:
    """Show a value as its sender wrote it, more or less: null and true, not None and True."""
    try:
        return json.dumps(value, ensure_ascii=False, default=repr)
    except RecursionError:
        return "what is nested deeply"
