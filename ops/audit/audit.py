"""Audit: put all lines through all rules, once, in bounded memory."""

from collections.abc import Callable

from ops.audit.findings import Findings
from ops.audit.inputs import Block
from ops.audit.integrity import Integrity
from ops.audit.ledger import Ledger, OnExam
from ops.audit.line import REFUSED, Line, each, moment_ms, parse, parse_slowly
from ops.audit.statistics import Statistics
from ops.chain import digest
from ops.log import printable
from ops.many import MANY

#: Milliseconds for which something may be under way when the log ends.
GRACE_MS = 60_000
#: Characters that are shown of a line that is none of ours.
SHOWN = 80


class Audit:
    """
    An audit under way: `take` each block of lines, then `end`.

    Attributes:
        lines: How many there were; of these *foreign* are none of ours.
        inputs: Name of each input -> lines.
        first_ts, last_ts: The time that they span.
    """

    def __init__(self, *, on_exam: Callable[[Findings], OnExam] | None = None) -> None:
        """Take what makes, of the findings, who looks at each exam that the log has told all of."""
        self.findings = Findings()
        self.integrity = Integrity(self.findings)
        self.ledger = Ledger(self.findings, on_exam=on_exam(self.findings) if on_exam else None)
        self.statistics = Statistics()
        self.lines = self.foreign = 0
        self.inputs: dict[str, int] = {}
        self.first_ts = self.last_ts = ""
        rooms = (self.integrity.handlers, self.ledger.handlers, self.statistics.handlers)
        self._handlers = {
            event: _both([room[event] for room in rooms if event in room])
            for event in {event for room in rooms for event in room}
        }
        for many, one in MANY.items():
            self._handlers[many] = self._of_each(self._handlers[one])

    def take(self, block: Block) -> None:
        """Put a block of lines through the rules."""
        handlers, file = self._handlers, block.name
        chains, chained = self.integrity.chains, self.integrity.take
        ts = ""
        for number, raw in enumerate(block.lines, block.number):
            try:
                line: Line | None = parse(raw)
            except REFUSED:
                line = parse_slowly(raw)
            if line is None or not line.ts:
                self._take_foreign(raw, file, number)
                continue
            chain = chains.get(line.chain)
            if (
                chain
                and line.prev == chain.head
                and line.seq == chain.seq + 1
                and not (chain.held or chain.watched)
            ):  # as nearly always; all else is looked at in `Integrity`
                chain.line, chain.seq, chain.head = line, line.seq, digest(raw)
                chain.file, chain.number = file, number
            elif line.chain:
                chained(line, raw, file, number)
            else:
                self.findings.violated("no chain", f"{file}:{number}: {line.event:.60}")
            if line.logger is None and (handle := handlers.get(line.event)):
                handle(line)
            ts = line.ts
            if not self.first_ts:
                self.first_ts = ts
        self.last_ts = max(self.last_ts, ts)
        self.lines += len(block.lines)
        self.inputs[file] = self.inputs.get(file, 0) + len(block.lines)

    def end(self, *, may_run: bool = False, grace_ms: int = GRACE_MS) -> None:
        """Judge what can only be judged in the end."""
        self.integrity.end(may_run=may_run)
        self.ledger.end(end_ms=moment_ms(self.last_ts) or 0, grace_ms=grace_ms)

    def _of_each(self, handle: Callable[[Line], None]) -> Callable[[Line], None]:
        """Make what takes a line about many commands, of what takes a line about one."""

        def handle_each(line: Line) -> None:
            lines = each(line)
            for one in lines:
                handle(one)
            if not lines:
                self.foreign += 1
                self.findings.noted("foreign line", f"{line.event} of {line.ts:.30}: odd lists")

        return handle_each

    def _take_foreign(self, raw: bytes, file: str, number: int) -> None:
        if not raw.strip():
            return
        self.foreign += 1
        shown = printable(raw[:SHOWN].decode("utf-8", "replace"))
        self.findings.noted("foreign line", f"{file}:{number}: {shown}")


def _both(handlers: list[Callable[[Line], None]]) -> Callable[[Line], None]:
    if len(handlers) == 1:
        return handlers[0]
    first, second = handlers

    def handle(line: Line) -> None:
        first(line)
        second(line)

    return handle
