"""Audit: put all lines through all rules, once, in bounded memory."""

from collections import Counter
from dataclasses import dataclass, field

from ops.audit.findings import Findings
from ops.audit.inputs import Block
from ops.audit.integrity import Integrity
from ops.audit.ledger import Ledger, OnExam
from ops.audit.line import Line, moment_ms, parse
from ops.audit.statistics import Statistics
from ops.log import printable

#: Milliseconds for which something may be under way when the log ends.
GRACE_MS = 60_000
#: Characters that are shown of a line that is none of ours.
SHOWN = 80
#: Lines about the log itself.
BOOKKEEPING = frozenset({"log_opened", "log_closed", "log_removed", "log_rotated"})


@dataclass(slots=True)
class Audit:
    """
    An audit under way: `take` each block of lines, then `end`.

    Attributes:
        lines: How many there were; of these *foreign* are none of ours.
        events: How often each event came.
    """

    findings: Findings = field(default_factory=Findings)
    lines: int = 0
    foreign: int = 0
    events: Counter[str] = field(default_factory=Counter)
    integrity: Integrity = field(init=False)
    ledger: Ledger = field(init=False)
    statistics: Statistics = field(default_factory=Statistics)
    first_ts: str = ""
    last_ts: str = ""

    def __post_init__(self) -> None:
        self.integrity = Integrity(self.findings)
        self.ledger = Ledger(self.findings)

    def watch_exams(self, on_exam: OnExam) -> None:
        """Have each exam looked at when the log has told all about it. Call before `take`."""
        self.ledger = Ledger(self.findings, on_exam=on_exam)

    def take(self, block: Block) -> None:
        """Put a block of lines through the rules."""
        events, handlers, shown = self.events, self.ledger.handlers, self.statistics.handlers
        chained, file = self.integrity.take, block.name
        line: Line | None = None
        for number, raw in enumerate(block.lines, block.number):
            line = parse(raw)
            if line is None or not line.ts:
                self._take_foreign(raw, file, number)
                continue
            if line.chain:
                chained(line, raw, file, number)
            else:
                self.findings.violated("no chain", f"{file}:{number}: {line.event:.60}")
            if line.logger is not None:
                continue
            name = line.event
            events[name] += 1
            if handle := handlers.get(name):
                handle(line)
            if note := shown.get(name):
                note(line)
            elif name in BOOKKEEPING:
                self.integrity.account(line, file, number)
            if line.ts > self.last_ts:
                self.last_ts = line.ts
            elif not self.first_ts or line.ts < self.first_ts:
                self.first_ts = line.ts
        self.lines += len(block.lines)

    def end(self, *, may_run: bool = False, grace_ms: int = GRACE_MS) -> None:
        """Judge what can only be judged in the end."""
        self.integrity.end(may_run=may_run)
        self.ledger.end(end_ms=moment_ms(self.last_ts) or 0, grace_ms=grace_ms)

    def _take_foreign(self, raw: bytes, file: str, number: int) -> None:
        if not raw.strip():
            return
        self.foreign += 1
        shown = printable(raw[:SHOWN].decode("utf-8", "replace"))
        self.findings.noted("foreign line", f"{file}:{number}: {shown}")
