"""
Many: log lines that are each about many commands, written and taken apart. Pure.

Under load a line of its own for each command is a tenth of all work. So commands to which the same
happens at once share lines, whose lists have a value for each of them, in one order. Where all have
the same value it stands there once.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ops.events import Event

#: From so many commands on: for fewer there is little to save, and a line each is easier to read.
FEWEST = 16
#: Characters that the lists of a line may have: a pipe takes it, with what stands around them, as
#: one.
LIST_CHARACTERS = 3_400
#: What stands around a value in a list, at most.
AROUND = len('"", ')

#: Events whose lines are about many commands, and the event that a line about one of them has.
MANY = {
    Event.BULK_ACCEPTED: Event.ACCEPTED,
    Event.BULK_DISPATCHED: Event.DISPATCHED,
    Event.BULK_APPLIED: Event.APPLIED,
    Event.BULK_DEADLINE_FIRED: Event.DEADLINE_FIRED,
}
#: Keys of their lists, and the key that the value has in a line about one.
LISTS = {
    "pks": "pk",
    "command_ids": "command_id",
    "entries": "entry",
    "trace_ids": "trace_id",
    "arrivals_ms": "at_ms",
    "values": "value",
    "deadlines_ms": "deadline_ms",
    "lates_ms": "late_ms",
}


def in_lines(*columns: Sequence[Any]) -> Iterator[list[list[Any]]]:
    """
    Divide lists of one length, of texts or of numbers, into what one line has of each.

    Args:
        columns: The first one names what the others tell of: it is never shortened.
    """
    named, *others = columns
    if not named:
        return
    shown = [named, *(column[:1] if len(set(column)) == 1 else column for column in others)]
    each = sum(_width(column) for column in shown if len(column) == len(named))
    most = max(1, LIST_CHARACTERS // each)
    for at in range(0, len(named), most):
        yield [
            list(column[at : at + most] if len(column) == len(named) else column)
            for column in shown
        ]


def each_of(line: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """
    Take the lists of a line apart again, as what a line about each would have in their place.

    Nothing comes of what no line of ours has.
    """
    lists = {one: line[key] for key, one in LISTS.items() if line.get(key)}
    named = lists.get("pk")
    if not isinstance(named, list):
        return
    count = len(named)
    columns = [
        values * count if len(values) == 1 else values
        for values in lists.values()
        if isinstance(values, list)
    ]
    if len(columns) == len(lists) and {count}.issuperset(map(len, columns)):
        yield from (dict(zip(lists, values, strict=True)) for values in zip(*columns, strict=True))


def _width(column: Sequence[Any]) -> int:
    """Measure the longest value as it will stand there, in ASCII."""
    if not isinstance(column[0], str):
        return len(str(max(column))) + AROUND
    whole = "".join(column)
    if whole.isascii() and not ('"' in whole or "\\" in whole):
        return max(map(len, column)) + AROUND
    return max(len(json.dumps(value)) for value in column) + AROUND
