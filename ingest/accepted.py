"""Accepted: the log lines about ordinary starts, which go onto the stream with others."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog
from structlog.contextvars import bound_contextvars

from ops.events import Event
from ops.many import in_lines
from ops.trace import Trace

#: Starts that share lines, at least: fewer than elsewhere, since so few come in one turn of a loop.
FEWEST = 6
TYPE = "exam.start"

log = structlog.get_logger()


class Start(Protocol):
    """
    A start that was taken.

    Attributes:
        own: Its trace.
        about: Its ``command_id``, its ``pk``, and the ``key`` that it came with, if it did.
    """

    own: Trace
    about: Mapping[str, str]


def tell(starts: Sequence[tuple[Start, str]]) -> None:
    """Write the lines about starts that were taken together, each given with its entry."""
    of_key: dict[str | None, list[tuple[Start, str]]] = defaultdict(list)
    for start, entry in starts:
        of_key[start.about.get("key")].append((start, entry))
    for key, some in of_key.items():
        with bound_contextvars(**({"key": key} if key else {})):
            say = _tell_many if len(some) >= FEWEST else _tell_each
            say(some)


def _tell_each(starts: Sequence[tuple[Start, str]]) -> None:
    for start, entry in starts:
        log.info(
            Event.ACCEPTED,
            trace_id=start.own.trace_id,
            command_id=start.about["command_id"],
            type=TYPE,
            pk=start.about["pk"],
            entry=entry,
        )


def _tell_many(starts: Sequence[tuple[Start, str]]) -> None:
    for pks, names, entries, traces in in_lines(
        [start.about["pk"] for start, _ in starts],
        [start.about["command_id"] for start, _ in starts],
        [entry for _, entry in starts],
        [start.own.trace_id for start, _ in starts],
    ):
        log.info(
            Event.BULK_ACCEPTED,
            type=TYPE,
            pks=pks,
            command_ids=names,
            entries=entries,
            trace_ids=traces,
        )
