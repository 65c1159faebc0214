"""Found: a line of the log with its place, and the ids that it names."""

from dataclasses import dataclass

from ops.audit.wording import Line, number, span, text, ts_ms

#: What identifies, and how it is said.
IDS = {
    "command_id": "command",
    "entry": "entry",
    "new_entry": "put back as entry",
    "letter": "dead letter",
    "source": "source",
    "trace_id": "trace",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A line, with the place where it stands: a file and a line's number."""

    line: Line
    where: str

    @property
    def at_ms(self) -> int:
        """When it was written."""
        return ts_ms(self.line) or 0

    @property
    def event(self) -> str:
        """What it says."""
        return text(self.line, "event")

    @property
    def entry(self) -> str:
        """The stream entry that it speaks of."""
        return text(self.line, "entry")

    @property
    def entries(self) -> set[str]:
        """The entries that it names: a command that was put back has another one from then on."""
        return {self.entry, text(self.line, "new_entry")} - {""}


def ids_of(one: Found, *, fired: Found | None = None) -> str:
    """Name all that a line names, who wrote it, and where it stands."""
    ids = [f"{shown} {text(one.line, key)}" for key, shown in IDS.items() if text(one.line, key)]
    if fired:
        late_ms = number(fired.line, "late_ms") or 0
        ids.append(f"deadline fired {span(late_ms)} late by {who(fired)}")
    task = text(one.line, "task_id")
    did = f"{one.event.replace('_', ' ')} by {who(one)}"
    return ", ".join([*ids, f"{did} in task {task}" if task else did, one.where])


def who(one: Found) -> str:
    """Name the process that wrote a line: ``worker-exam 4711``."""
    return f"{text(one.line, 'part') or 'somebody'} {text(one.line, 'pid')}".rstrip()
