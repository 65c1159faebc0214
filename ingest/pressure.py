"""Pressure: how much waits to be done, and what is not taken any more because of it. Pure."""

from collections import deque
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
#: So many unread commands are no crowd: how fast they are read shows only when more wait.
NO_CROWD = 1_000
#: Entries that the dispatcher reads at once, and how many looks back its pace is taken from: it
#: reads when the workers have room, so a slow system reads nothing for seconds, then so many.
READ_AT_ONCE = 256
LOOKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    What waits, as it was seen last.

    Attributes:
        waiting: Entries of the stream that nobody has finished with.
        unread: Of these, entries that nobody has read.
        waited_s: Seconds that the oldest of the unread has been there.
        pace: Entries that are read in a second, at best; None: not known, as nobody is waiting.
        memory: Share of Redis' ``maxmemory`` in use; 0 where it has no limit.
        free_bytes: Room on the disk with the exams; None: not known.
    """

    waiting: int = 0
    unread: int = 0
    waited_s: float = 0.0
    pace: float | None = None
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
    will_wait_s = load.unread / load.pace if load.pace else 0.0
    if load.unread > share * NO_CROWD and will_wait_s > share * limits.waited_s:
        return f"a command would wait for {will_wait_s:.0f} s"
    if load.memory > ALL - (ALL - limits.memory) / max(share, 1):
        return f"{load.memory:.0%} of Redis' memory is in use"
    if load.free_bytes is not None and load.free_bytes < limits.free_bytes / max(share, 1):
        return f"the disk has {load.free_bytes >> 20:,} MB left"
    return None


class Pace:
    """
    How fast entries are read while there are more than can be read at once.

    How long the oldest has waited tells too late: when far more comes than can be done, the work of
    minutes is taken before the first command has waited for seconds.
    """

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque(maxlen=LOOKS)

    def note(self, now_s: float, *, read: int | None, unread: int) -> float | None:
        """
        Take in a look, and say how many entries are read in a second; None: nobody can tell.

        It is never too low: what is about to be read is counted as if it had been.

        Args:
            read: Entries that were ever read; None where Redis does not know.
        """
        if read is None or unread < READ_AT_ONCE:
            self._looks.clear()
            return None
        self._looks.append((now_s, read))
        (first_s, first), (last_s, last) = self._looks[0], self._looks[-1]
        if last < first:  # a stream that was made anew
            self._looks.clear()
            return None
        return (last - first + READ_AT_ONCE) / (last_s - first_s) if last_s > first_s else None
