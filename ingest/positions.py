"""Positions: places in a stream, how far it reaches, and what a reader has missed. Values only."""

import re
from dataclasses import dataclass
from typing import NamedTuple

_PATTERN = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?")
#: The greatest number in an id.
_GREATEST = 2**64 - 1


class Position(NamedTuple):
    """An entry's id, in order: milliseconds, and a number within the millisecond."""

    ms: int
    seq: int

    def __str__(self) -> str:
        """Write it as Redis does."""
        return f"{self.ms}-{self.seq}"


#: Before every entry.
START = Position(0, 0)


def position(text: str) -> Position:
    """
    Read an entry id, or milliseconds alone.

    Raises:
        ValueError: It is neither.
    """
    found = _PATTERN.fullmatch(text)
    numbers = [int(number or 0) for number in found.groups()] if found else []
    if not found or max(numbers) > _GREATEST:
        raise ValueError("must be the id of an event, like 1763822000123-0")
    return Position(*numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """
    How far a stream reaches.

    Attributes:
        first: The oldest entry that it holds; None when it holds none.
        last: The newest entry that it ever had.
        is_whole: Whether it holds all that it ever had.
    """

    first: Position | None
    last: Position
    is_whole: bool


#: A stream to which nobody has written.
NOTHING = Extent(first=None, last=START, is_whole=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """
    What a reader asked for cannot follow without a break.

    Attributes:
        asked: The position behind which it wanted to read on.
        resumes: The oldest entry that is left; without one, the newest that there was.
        after: The position behind which it does read on.
        reason: Why, in words.
    """

    asked: Position
    resumes: Position
    after: Position
    reason: str


def gap(asked: Position, extent: Extent) -> Gap | None:
    """
    Say what is missing for a reader that has seen everything up to *asked*.

    An id below the oldest entry may or may not have had others behind it that are gone. Only of a
    stream that is whole, read from its start, is it known that nothing is missing.
    """
    if asked > extent.last:
        why = "no event has that id, nor a later one: the stream was made anew or restored"
        return Gap(asked=asked, resumes=extent.last, after=extent.last, reason=why)
    if asked == extent.last or (asked == START and extent.is_whole):
        return None
    why = "events behind that id are not kept any more"
    if extent.first is None:
        return Gap(asked=asked, resumes=extent.last, after=extent.last, reason=why)
    if asked < extent.first:
        return Gap(asked=asked, resumes=extent.first, after=asked, reason=why)
    return None
