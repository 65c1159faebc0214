"""Fact: one command as it arrived. What cannot be judged is no fact."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Type(StrEnum):
    """What a fact says."""

    START = "exam.start"
    FINISH = "exam.finish"
    EXPIRE = "exam.expire"


class Status(StrEnum):
    """Where an exam stands."""

    STARTED = "started"
    PASS = "pass"  # noqa: S105 - a result, not a password
    FAIL = "fail"
    ABSENT = "absent"


#: Milliseconds. The last moment that ISO 8601 writes with four digits of the year.
LAST_MS = 253_402_300_799_999
#: Seconds. Nothing runs for longer than a year.
LONGEST_S = 366 * 86_400

#: What two entries of one command share: the producer's name, its id, and what it says.
Identity = tuple[str | None, str, Type]

_ENTRY = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """
    One command as it arrived: who said what, and when.

    Attributes:
        at_ms: Ingress time, on Redis' clock.
        entry: Id of the stream entry, ``<ms>-<seq>``.
        command: The producer's id, or the entry's.
        source: The producer's name; ids are compared within one source.
        value: Start: duration in seconds; finish: ``pass`` or ``fail``; expire: deadline in
            milliseconds.

    Raises:
        ValueError: A value that cannot be judged; whoever reads facts from outside relies on it.
    """

    at_ms: int
    entry: str
    command: str
    source: str | None
    type: Type
    value: int | str

    def __post_init__(self) -> None:
        source, command = self.source, self.command
        if not _is_whole(self.at_ms, most=LAST_MS - LONGEST_S * 1000):
            raise ValueError(f"not a time: {self.at_ms!r:.40}")
        if not (isinstance(self.entry, str) and _ENTRY.fullmatch(self.entry)):
            raise ValueError(f"not an entry id: {self.entry!r:.40}")
        if not (isinstance(command, str) and (source is None or isinstance(source, str))):
            raise ValueError(f"not a command's id: {source!r:.40}, {command!r:.40}")
        if not _is_value(self.type, self.value):
            raise ValueError(f"not a value of {self.type}: {self.value!r:.40}")

    @property
    def ingress(self) -> tuple[int, int, int]:
        """Order of arrival: the time, then the entry id for what came in one millisecond."""
        return self.at_ms, *_numbers(self.entry)

    @property
    def turn(self) -> tuple[bool, tuple[int, int, int]]:
        """Order of judgement: starts before the rest, then by arrival."""
        return self.type is not Type.START, self.ingress

    @property
    def identity(self) -> Identity:
        """
        What two entries of one command share.

        The type is part of it. Were it not, a start that reuses a result's id would have to be
        refused, or to take the result back: the one would close the door to an exam, the other
        would make a candidate absent who submitted in time.
        """
        return self.source, self.command, self.type


@lru_cache(maxsize=4_096)
def _numbers(entry: str) -> tuple[int, int]:
    """Take an entry's id apart, once for the many times that its fact is compared with others."""
    ms, _, seq = entry.partition("-")
    return int(ms), int(seq)


def _is_whole(value: object, *, most: int, least: int = 0) -> bool:
    """Whether *value* is a whole number in range; True and False are none."""
    return type(value) is int and least <= value <= most


def _is_value(kind: Type, value: object) -> bool:
    if kind is Type.START:
        return _is_whole(value, least=1, most=LONGEST_S)
    if kind is Type.FINISH:
        return value in (Status.PASS, Status.FAIL)
    return kind is Type.EXPIRE and _is_whole(value, most=LAST_MS)
