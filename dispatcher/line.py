"""Line: exams whose letters are placed, and whose bells wait until a worker has room. Pure."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from dispatcher.report import Read
from filestore.fact import Type
from tasks.inbox import Letter

#: Commands that are read and placed though no worker has room for them: so far ahead of the starts
#: a result, or a deadline that has passed, is found. Each takes some 2 kB of the dispatcher's
#: memory, and some 300 bytes of Redis'.
MOST_HELD = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    A command whose letter is placed, and of which no worker was told yet.

    Attributes:
        since_s: When it came into the line, by `time.monotonic`.
    """

    read: Read
    letter: Letter
    redelivered: bool
    since_s: float


class Line:
    """
    Who waits for a bell: first the exams that come to an end, then those that only begin.

    A bell is for all that lies in an exam's inbox. So the order of the bells changes nothing of
    what is decided, only when; letters are placed in the order of the stream.
    """

    def __init__(self) -> None:
        # Its first one is at hand: a dict looks for it behind all that were taken out before.
        self._ends: OrderedDict[str, list[Held]] = OrderedDict()
        self._starts: OrderedDict[str, list[Held]] = OrderedDict()
        self._entries: set[str] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, entry: object) -> bool:
        return entry in self._entries

    @property
    def room(self) -> int:
        """How many more commands may be read."""
        return max(0, MOST_HELD - len(self))

    def waited_s(self, now_s: float) -> float:
        """For how long the start has stood here that is the next one; 0: there is none."""
        first = next(iter(self._starts.values()), None)
        return now_s - first[0].since_s if first else 0.0

    def add(self, held: Held) -> None:
        """Put a command behind those that came before; its exam moves up if it comes to an end."""
        entry, pk = held.read.entry, held.letter.pk
        if entry in self._entries:
            return
        self._entries.add(entry)
        if held.letter.type is not Type.START:
            self._ends.setdefault(pk, self._starts.pop(pk, []))
        (self._ends if pk in self._ends else self._starts).setdefault(pk, []).append(held)

    def take(self, most: int) -> list[Held]:
        """Take out all commands of so many exams, at most."""
        taken: list[Held] = []
        for _, (waiting, pk) in zip(range(most), self._in_turn(), strict=False):
            taken += waiting.pop(pk)
        self._entries.difference_update(held.read.entry for held in taken)
        return taken

    def _in_turn(self) -> Iterator[tuple[OrderedDict[str, list[Held]], str]]:
        """Name each exam, and the half of the line that it stands in; it may be taken out then."""
        for waiting in (self._ends, self._starts):
            while waiting:
                yield waiting, next(iter(waiting))
