"""Integrity: follow each process' chain of lines, and name where it breaks."""

from dataclasses import replace

from ops.audit.chains import Came, Chain, Noted, head_of, removed_ms
from ops.audit.findings import Findings
from ops.audit.line import Line
from ops.chain import NOTHING, Head, digest

#: Lines about the log itself.
BOOKKEEPING = ("log_opened", "log_closed", "log_removed")
#: Lines of one chain that are kept until those before them have come from another file.
MOST_HELD = 10_000


class Integrity:
    """All chains. `take` each line in the order of its file, then `end`."""

    def __init__(self, findings: Findings) -> None:
        self.chains: dict[str, Chain] = {}
        self._findings = findings
        self._noted: dict[str, list[Noted]] = {}
        self._removed: dict[str, tuple[int, str]] = {}
        self.handlers = dict.fromkeys(BOOKKEEPING, self._account)

    def expect(self, head: Head, *, where: str, is_end: bool) -> None:
        """Take a head that somebody noted: it must be found as it was. Call before `take`."""
        noted = Noted(head=head, where=where, is_end=is_end)
        self._noted.setdefault(head.chain, []).append(noted)

    def take(self, line: Line, raw: bytes, file: str, number: int) -> None:
        """
        Look whether *line* is the next one of its chain, and what it is if not.

        `Audit.take` looks itself at lines that simply are the next one: nearly all are.
        """
        chain = self.chains.get(line.chain)
        if chain is None:
            self._begin(line, raw, file, number)
        else:
            self._take_other(chain, Came(line, digest(raw), file, number))

    def _account(self, line: Line) -> None:
        """Take what a line about the log, which has just been taken, says of other chains."""
        chain = self.chains.get(line.chain)
        if chain is None:
            return
        for one in line.ended if isinstance(line.ended, list) else []:
            if head := head_of(one):
                self.expect(head, where=chain.at, is_end=True)
        if line.event == "log_closed" and chain.closed is None:
            chain.closed = line.seq
        if line.event == "log_removed" and isinstance(line.chains, dict):
            for name, last in line.chains.items():
                if isinstance(last, list) and [type(one) for one in last] == [int, str]:
                    self._removed[name] = max(self._removed.get(name, (0, "")), tuple(last))
            self._findings.removed_ms = max(self._findings.removed_ms, removed_ms(line))
            self._findings.noted("removed", f"{line.file}, says {chain.at}")

    def end(self, *, may_run: bool) -> None:
        """
        Judge what can only be judged when all lines are there.

        Args:
            may_run: Whether the logs may be of a system that was still running.
        """
        for name, chain in self.chains.items():
            while chain.held:
                self._skip(chain)
            self._judge_beginning(name, chain)
        for name, noted in self._noted.items():
            self._judge_noted(name, noted)
        for chain in self.chains.values():
            if chain.closed is not None and chain.closed < chain.seq:
                text = f"{chain.at}: {chain.name} had closed its log with line {chain.closed}"
                self._broken(chain, "lines added", text)
            if chain.closed is not None or chain.is_ended:
                continue
            where = f"{chain.name}: its last line is {chain.at} ({chain.line.ts})"
            if may_run or chain.is_noted:
                self._findings.noted("running", where)
            else:
                self._broken(chain, "end unknown", where)

    def heads(self) -> list[Head]:
        """Return the last line of each chain."""
        return [
            Head(chain=name, seq=one.seq, head=one.head, part=one.part, pid=one.pid or 0)
            for name, one in self.chains.items()
        ]

    def _begin(self, line: Line, raw: bytes, file: str, number: int) -> None:
        head = digest(raw)
        noted = self._noted.get(line.chain, [])
        watched = {one.head.seq: (one.head.head, one.where) for one in noted}
        self.chains[line.chain] = chain = Chain(
            part=line.part,
            pid=line.pid,
            first_ts=line.ts,
            line=line,
            seq=line.seq,
            head=head,
            file=file,
            number=number,
            held={},
            watched=watched,
        )
        if line.seq != 1 or line.prev != NOTHING:
            chain.before = (line.seq - 1, line.prev)
        self._check_watched(chain)

    def _take_other(self, chain: Chain, came: Came) -> None:
        """
        Take a line that is not simply the next one.

        One that comes too early waits. If it came from the same file and the next one follows it,
        those between are missing; if the chain goes on where it was, this one was displaced.
        """
        if came.seq <= chain.seq:
            self._take_old(chain, came)
            return
        if came.seq > chain.seq + 1 and self._has_gap(chain, came):
            self._skip(chain)
        if came.seq == chain.seq + 1:
            self._link(chain, came)
            self._take_held(chain)
        elif came.seq > chain.seq:
            chain.held[came.seq] = replace(came, is_displaced=came.file == chain.file)

    def _has_gap(self, chain: Chain, came: Came) -> bool:
        before = chain.held.get(came.seq - 1)
        follows = before is not None and before.is_displaced and came.file == before.file
        return follows or len(chain.held) >= MOST_HELD

    def _take_held(self, chain: Chain) -> None:
        """Take the lines whose turn has come."""
        while came := chain.held.pop(chain.seq + 1, None):
            if came.is_displaced:
                text = f"{came.at}: line {came.seq} of {chain.name} stands before an earlier one"
                self._broken(chain, "line out of order", text)
            self._link(chain, came)

    def _take_old(self, chain: Chain, came: Came) -> None:
        first, last = chain.gap or (1, 0)
        if first <= came.seq <= last or (chain.before and came.seq <= chain.before[0]):
            text = f"{came.at}: line {came.seq} of {chain.name} stands behind a later one"
            self._broken(chain, "line out of order", text)
        else:
            text = f"{came.at}: there was a line {came.seq} of {chain.name} already"
            self._broken(chain, "line repeated", text)

    def _link(self, chain: Chain, came: Came) -> None:
        if came.line.prev != chain.head:
            text = f"{chain.at}, or the line after it, {came.at}, of {chain.name}"
            self._broken(chain, "line altered", text)
        self._go_on(chain, came)

    def _go_on(self, chain: Chain, came: Came) -> None:
        chain.line, chain.seq, chain.head = came.line, came.seq, came.head
        chain.file, chain.number = came.file, came.number
        self._check_watched(chain)

    def _skip(self, chain: Chain) -> None:
        """Go on behind lines that never came, with the first of those that wait."""
        came = chain.held.pop(min(chain.held))
        self._miss(chain, came)
        self._go_on(chain, came)
        while (next_one := chain.held.get(chain.seq + 1)) and next_one.file == came.file:
            self._link(chain, chain.held.pop(chain.seq + 1))
        self._take_held(chain)

    def _miss(self, chain: Chain, came: Came) -> None:
        first, last = chain.gap = (chain.seq + 1, came.seq - 1)
        count = last - first + 1
        which = f"line {first}" if count == 1 else f"lines {first} to {last}"
        text = f"between {chain.at} and {came.at}: {which} of {chain.name}"
        self._broken(chain, "lines missing", text, times=count)

    def _broken(self, chain: Chain, rule: str, text: str, *, times: int = 1) -> None:
        chain.is_broken = True
        self._findings.violated(rule, text, times=times)

    def _check_watched(self, chain: Chain) -> None:
        """Compare the last line with what somebody noted of it."""
        noted = chain.watched.pop(chain.seq, None)
        if noted and noted[0] != chain.head:
            text = (
                f"{chain.at}: line {chain.seq} of {chain.name} was another when {noted[1]} noted it"
            )
            self._broken(chain, "line altered", text)

    def _judge_beginning(self, name: str, chain: Chain) -> None:
        if chain.before is None or chain.before == self._removed.get(name):
            return
        text = f"{chain.name}: it begins at its line {chain.before[0] + 1}, in {chain.file}"
        self._broken(chain, "beginning missing", text)

    def _judge_noted(self, name: str, noted: list[Noted]) -> None:
        last = max(noted, key=lambda one: one.head.seq)
        head, who = last.head, f"{last.head.part} {last.head.pid}"
        chain = self.chains.get(name)
        if chain is None:
            if self._removed.get(name, (0, ""))[0] < head.seq:
                text = f"{who}: {last.where} noted its line {head.seq}"
                self._findings.violated("process missing", text)
            return
        chain.is_noted = True
        chain.is_ended = any(one.is_end for one in noted)
        more = chain.seq - head.seq
        if more < 0:
            text = f"{chain.at} is the last line of {who}, number {chain.seq}; "
            self._broken(chain, "end missing", f"{text}{last.where} noted line {head.seq}")
        elif (more == 0 and chain.head != head.head) or (
            more == 1 and chain.line.prev != head.head
        ):
            text = f"{chain.at}: line {head.seq} of {who} was another when {last.where} noted it"
            self._broken(chain, "line altered", text)
        elif more and last.is_end:
            self._judge_more(chain, last, more)

    def _judge_more(self, chain: Chain, last: Noted, more: int) -> None:
        """Judge lines behind a noted end: who was killed may have written what it never noted."""
        head, who = last.head, f"{last.head.part} {last.head.pid}"
        most = 1 if head.or_seq is None else head.or_seq - head.seq
        if more > most:
            text = f"{chain.at}: {more} more lines of {who} than {last.where} noted at its end"
            self._broken(chain, "lines added", text)
        elif more == most and head.or_head not in (None, chain.head):
            text = f"{chain.at}: line {head.or_seq} of {who} was to be another, says {last.where}"
            self._broken(chain, "line altered", text)
        else:
            self._findings.noted("one more", f"{chain.at}, which {last.where} does not know of")
