"""Own: commands that this dispatcher has put on the stream itself, and need not decode."""

from collections.abc import Iterable

from dispatcher.promote import Fired
from ingest.commands import Command, parse
from ingest.faults import InvalidCommand

#: Commands that are remembered at most; the others are decoded when they come.
MOST = 10_000


class Own:
    """What `promote` has written, by the entry's id: nobody else can have changed an entry."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def note(self, fired: Iterable[Fired]) -> None:
        """Remember what became of deadlines; of a name that is none it is decoded, and buried."""
        for one in fired:
            if len(self._commands) < MOST:
                try:
                    data = parse("exam.expire", {"pk": one.pk, "deadline": one.deadline_ms})
                except InvalidCommand:
                    continue
                self._commands[one.entry] = Command(data=data)

    def take(self, entry: str) -> Command | None:
        """Give what an entry holds, once, if it is known."""
        return self._commands.pop(entry, None)
