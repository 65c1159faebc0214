"""Findings: what an audit saw, by rule: how often, and a few examples."""

from collections.abc import Iterator
from dataclasses import dataclass, field

#: Examples that are kept of each rule; the rest is a number.
MOST_EXAMPLES = 20

#: What breaks the proof, and what it means. The order is that of the report.
RULES = {
    "line altered": "a line is not what was written: the next one has another hash of it",
    "lines missing": "numbers are missing in a process' lines",
    "line out of order": "a line stands behind one that was written after it",
    "line repeated": "two lines have the same number of one process",
    "lines added": "a process has lines after those with which it ended",
    "beginning missing": "a process' first lines are missing, and nothing says they were removed",
    "end missing": "a process' last lines are missing: somebody noted a later one",
    "process missing": "a process that somebody noted has no line at all",
    "end unknown": "a process' lines end, and nobody says that this is all: it runs, or it was cut",
    "no chain": "a line of ours has no number and hash: an older version's, or they were taken off",
    "never decided": "a command came in, and nothing says what became of it",
    "decided twice": "an exam was decided twice, or one entry was applied twice",
    "absent by mistake": "absent, although a result came in time",
    "fired early": "a deadline fired, or an exam became absent, before its time",
    "never fired": "a deadline passed, and the exam was not decided",
    "other verdict": "what was done is not what the rules say",
    "without start": "an exam was decided, and nothing says that it was started",
    "printed twice": "an echo was printed twice",
    "mailed twice": "the digest of one slot went out twice",
    "task never ended": "a task began and never ended, nor did another do its work",
    "status differs": "an exam's file says something else than the log",
    "record differs": "an exam's file has a record that the log has not, or the other way round",
    "file missing": "the log has an exam, and there is no file of it",
    "not in the log": "there is a file of an exam that the log does not know",
    "file damaged": "an exam's file is no document",
}
#: What was seen and breaks nothing.
NOTES = {
    "foreign line": "a line that is none of ours: a banner, a library's print, half a last line",
    "made up for": "a task that was lost with its worker; another one did its work",
    "confirmed again": "a line that came again after a crash: the command was on disk already",
    "under way": "a command, exam or task that had not ended when the log did",
    "removed": "a file that was removed because there were too many; what it ended with is known",
    "before the log": "what nothing proves, as its lines may be in a file that was removed",
    "running": "a process that was still writing",
    "one more": "last lines that nobody noted: a process was killed just then, or they were added",
}


@dataclass(slots=True)
class Finding:
    """How often a rule was broken, and by what."""

    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Findings:
    """
    All of them, by the names in `RULES` and `NOTES`.

    Attributes:
        removed_ms: Lines from before that moment may be in files that were removed.
    """

    violations: dict[str, Finding] = field(default_factory=dict)
    notes: dict[str, Finding] = field(default_factory=dict)
    removed_ms: int = 0

    def violated(self, rule: str, example: str, *, times: int = 1) -> None:
        """Note that *rule* was broken."""
        _add(self.violations, rule, example, times)

    def lacking(self, rule: str, example: str, *, at_ms: int) -> None:
        """Note that a line is lacking, which breaks *rule* unless it may have been removed."""
        if at_ms < self.removed_ms:
            self.noted("before the log", example)
        else:
            self.violated(rule, example)

    def noted(self, name: str, example: str = "", *, times: int = 1) -> None:
        """Note what breaks nothing."""
        _add(self.notes, name, example, times)

    @property
    def is_proven(self) -> bool:
        """Whether nothing was broken."""
        return not self.violations

    def in_order(self) -> Iterator[tuple[str, Finding]]:
        """Yield the broken rules in the order of `RULES`."""
        yield from ((name, self.violations[name]) for name in RULES if name in self.violations)


def _add(found: dict[str, Finding], name: str, example: str, times: int) -> None:
    finding = found.setdefault(name, Finding())
    finding.count += times
    if example and len(finding.examples) < MOST_EXAMPLES:
        finding.examples.append(example)
