"""
Explain: find all lines about one exam, command or task, and tell what became of it.

Two passes over the same log: the first finds the lines that name what is asked for, the second
those that belong to it under other names. What is kept is bounded, however long the log is.
"""

import json
from collections.abc import Iterable

from ops.audit.found import Found
from ops.audit.wording import Line, singles, text, ts_ms

#: Lines that are kept; one exam has a dozen, a forged flood of results has more.
MOST_LINES = 20_000
#: Other names that are searched for in the second pass.
MOST_RELATED = 2_000
#: Up to so many names are searched for one by one: faster than to take a line apart.
FEW = 4
#: Under which keys a line names a command.
COMMAND_KEYS = ("command_id", "entry", "new_entry", "letter", "trace_id")


class Search:
    """
    Find the lines of *asked*: a pk, a command's id, an entry, a trace's id, or a task's id.

    For each pass, hand `feed` every line of the log for which `is_wanted` is true, in whatever
    order; then ask `goes_on` whether to go through the log again.
    """

    def __init__(self, asked: str) -> None:
        self.asked = asked
        #: What a line's bytes must contain to be of interest in this pass.
        self.wanted = _needles([asked])
        self.lines_seen = 0
        self.left_out = 0
        self.found: list[Found] = []
        self._pass = 1
        self._names: dict[str, set[str]] = {"pk": set(), "entry": set()}
        self._whole: set[bytes] = set()
        self._torn: list[bytes] = []

    def is_wanted(self, raw: bytes, *, is_counted: bool = True) -> bool:
        """
        Whether a line may be of interest, by its bytes alone: most are not, so it is quick.

        Quicker yet: ask about a block of many whole lines, with their ends, and only when it may
        be of interest about each of its lines, without `is_counted`.
        """
        if is_counted and self._pass == 1:
            self.lines_seen += raw.count(b"\n") or 1
        if len(self.wanted) > FEW and not self._whole.isdisjoint(raw.split(b'"')):
            return True
        for needle in self.wanted if len(self.wanted) <= FEW else self._torn:
            if needle in raw:  # no `any`: it would take twice as long
                return True
        return False

    def feed(self, line: Line, where: str) -> None:
        """Take a line that `is_wanted`, parsed, and where it stands: ``gateway.jsonl:17``."""
        for one in singles(line):
            if not self._belongs(one) or ts_ms(one) is None:
                continue
            if len(self.found) >= MOST_LINES:
                self.left_out += 1
            else:
                self.found.append(Found(one, where))

    def goes_on(self) -> bool:
        """After a pass: whether there is another one; it begins anew, with more names."""
        if self._pass > 1 or not self.found:
            return False
        self._relate()
        names = sorted(set().union(*self._names.values()))[:MOST_RELATED]
        self.wanted |= _needles(names)
        # A name without a quote stands whole between two quotes of the line.
        self._whole = {needle[1:-1] for needle in self.wanted if b"\\" not in needle}
        self._torn = [needle for needle in self.wanted if b"\\" in needle]
        self._pass, self.found, self.left_out = 2, [], 0
        return True

    @property
    def kind(self) -> str:
        """What *asked* is: ``exam``, ``command`` or ``task``; empty when nothing was found."""
        lines = [one.line for one in self.found]
        if any(line.get("pk") == self.asked for line in lines):
            return "exam"
        if any(self.asked in values(line, COMMAND_KEYS) for line in lines):
            return "command"
        return "task" if lines else ""

    def _belongs(self, line: Line) -> bool:
        return self.asked in values(line, ("pk", "task_id", *COMMAND_KEYS)) or any(
            text(line, name) in names for name, names in self._names.items()
        )

    def _relate(self) -> None:
        for one in self.found:
            self._note("entry", *one.entries)
            self._note("pk", text(one.line, "pk"))

    def _note(self, name: str, *found: str) -> None:
        self._names[name].update(value for value in found if value)


def values(line: Line, keys: Iterable[str]) -> set[str]:
    """Take what stands under some of a line's keys, as far as it is a text."""
    return {value for key in keys if isinstance(value := line.get(key), str)}


def _needles(names: Iterable[str]) -> set[bytes]:
    """Make what a line that names one of these contains, with and without escapes."""
    return {
        json.dumps(name, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
        for name in names
        for is_ascii in (True, False)
    }
