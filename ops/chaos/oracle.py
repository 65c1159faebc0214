"""
Oracle: how an exam must end, from nothing but what came in and when.

A second opinion: it shares no code with the rules that it checks. An entry's id carries its time.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A command that is known to have come in."""

    entry: str
    type: str
    value: int | str

    @property
    def order(self) -> tuple[int, int]:
        """Order of arrival."""
        ms, _, number = self.entry.partition("-")
        return int(ms), int(number)

    @property
    def at_ms(self) -> int:
        """Time of arrival."""
        return self.order[0]


@dataclass(frozen=True, slots=True)
class Expected:
    """How it must be: with ``started`` only while the deadline has not passed."""

    status: str
    deadline_ms: int


def expected(came: Iterable[Came]) -> Expected | None:
    """Say how an exam must end when all its time is over; None when nobody started it."""
    in_order = sorted(came, key=lambda one: one.order)
    starts = [one for one in in_order if one.type == "exam.start"]
    if not starts:
        return None
    deadline_ms = starts[0].at_ms + int(starts[0].value) * 1000
    for one in in_order:
        if one.type == "exam.finish" and one.at_ms <= deadline_ms:
            return Expected(str(one.value), deadline_ms)
    return Expected("absent", deadline_ms)
