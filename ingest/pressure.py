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
#: So many commands in line are no crowd: how fast it moves shows only when more wait.
NO_CROWD = 500
#: Entries that workers are told of at once, and how many looks back the pace is taken from: they
#: are told when they have room, so in a slow system nothing moves for seconds, then so many.
AT_ONCE = 256
LOOKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    What waits, as it was seen last.

    Attributes:
        waiting: Entries of the stream that nobody has finished with.
        in_line: Of these, entries that no worker was told of yet.
        waited_s: Seconds that the start among them that came first has been there.
        unread_s: Seconds that the oldest entry has been there which nobody has read: a result may
            be behind it. What is read stands in line, where results go first.
        pace: Entries of the line that workers are told of in a second, at best; None: not known,
            as nobody is waiting.
        memory: Share of Redis' ``maxmemory`` in use; 0 where it has no limit.
        free_bytes: Room on the disk with the exams; None: not known.
    """

    waiting: int = 0
    in_line: int = 0
    waited_s: float = 0.0
    unread_s: float = 0.0
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


def refusal(load: Load, limits: Limits, kind: Kind, *, taken: int = 0) -> str | None:
    """
    Say why a command of a kind is not taken now; None: it is.

    Args:
        taken: Commands that came after the load was seen.
    """
    share = SHARES[kind]
    waiting, in_line = load.waiting + taken, load.in_line + taken
    if waiting > share * limits.waiting:
        return f"{waiting:,} commands wait to be applied"
    waited_s = load.unread_s if kind is Kind.RESULT else max(load.waited_s, load.unread_s)
    if waited_s > share * limits.waited_s:
        return f"commands wait for {waited_s:.0f} s"
    will_wait_s = in_line / load.pace if load.pace and kind is not Kind.RESULT else 0.0
    if in_line > share * NO_CROWD and will_wait_s > share * limits.waited_s:
        return f"a command would wait for {will_wait_s:.0f} s"
    if load.memory > ALL - (ALL - limits.memory) / max(share, 1):
        return f"{load.memory:.0%} of Redis' memory is in use"
    if load.free_bytes is not None and load.free_bytes < limits.free_bytes / max(share, 1):
        return f"the disk has {load.free_bytes >> 20:,} MB left"
    return None


class Pace:
    """
    How fast the line moves while there are more in it than move at once.

    How long the oldest has waited tells too late: when far more comes than can be done, the work of
    minutes is taken before the first command has waited for seconds.
    """

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque(maxlen=LOOKS)

    def note(self, now_s: float, *, gone: int | None, in_line: int) -> float | None:
        """
        Take in a look, and say how many entries leave the line in a second; None: nobody can tell.

        It is never too low: what is about to leave is counted as if it had.

        Args:
            gone: Entries that ever left it; None where Redis does not know.
        """
        if gone is None or in_line < AT_ONCE:
            self._looks.clear()
            return None
        self._looks.append((now_s, gone))
        (first_s, first), (last_s, last) = self._looks[0], self._looks[-1]
        if last < first:  # a stream that was made anew
            self._looks.clear()
            return None
        return (last - first + AT_ONCE) / (last_s - first_s) if last_s > first_s else None
