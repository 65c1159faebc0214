"""Pressure: how much waits to be done, and what is not taken any more because of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """Kinds of commands, by how long they are taken."""

    BULK = "bulk"
    START = "start"
    RESULT = "result"


#: How many times a limit each kind may fill. A body of many commands makes room for those that come
#: one by one; a result belongs to an exam that runs, and who has earned it cannot come tomorrow.
SHARES: Mapping[Kind, float] = MappingProxyType({Kind.BULK: 0.5, Kind.START: 1, Kind.RESULT: 3})
#: All of Redis' memory. Three times a share of it would be more than there is: there it is what is
#: left over that may shrink to a third, as on the disk.
ALL = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    What waits, as it was seen last.

    Attributes:
        waiting: Entries of the stream that nobody has finished with.
        waited_s: Seconds that the oldest entry which nobody has read has been there.
        memory: Share of Redis' ``maxmemory`` in use; 0 where it has no limit.
        free_bytes: Room on the disk with the exams; None: not known.
    """

    waiting: int = 0
    waited_s: float = 0.0
    memory: float = 0.0
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    From where on starts are not taken.

    Attributes:
        waiting: Entries.
        waited_s: Seconds.
        memory: Share of Redis' memory.
        free_bytes: Bytes that stay free on the disk.
    """

    waiting: int
    waited_s: float
    memory: float
    free_bytes: int


def refusal(load: Load, limits: Limits, kind: Kind) -> str | None:
    """Say why a command of a kind is not taken now; None: it is."""
    share = SHARES[kind]
    if load.waiting > share * limits.waiting:
        return f"{load.waiting:,} commands wait to be applied"
    if load.waited_s > share * limits.waited_s:
        return f"commands wait for {load.waited_s:.0f} s"
    if load.memory > ALL - (ALL - limits.memory) / max(share, 1):
        return f"{load.memory:.0%} of Redis' memory is in use"
    if load.free_bytes is not None and load.free_bytes < limits.free_bytes / max(share, 1):
        return f"the disk has {load.free_bytes >> 20:,} MB left"
    return None
