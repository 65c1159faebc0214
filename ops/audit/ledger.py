"""Ledger: follow commands, exams, tasks and mails through the log; keep what is open, not all."""

from collections import Counter
from collections.abc import Callable

from ops.audit.exams import (
    ACCEPTED,
    BURIED,
    DISPATCHED,
    DONE,
    EXPIRE,
    PRINTED,
    START,
    WAITING,
    Command,
    Exam,
    Record,
    broken,
    outcome,
)
from ops.audit.findings import Findings
from ops.audit.line import Line, entry_ms
from ops.audit.recent import Recent
from ops.audit.tasks import Tasks

#: How many decided exams are remembered at least, for lines about them that come later.
RECENT_EXAMS = 1 << 13
#: The same of commands that are about no exam, or do not say so: what the dispatcher has buried.
RECENT_OTHERS = 1 << 16
#: Milliseconds for which a result may wait for its exam's start, and a little more.
ORPHAN_MS = 360_000
#: How many exams without a start are kept until it is known which files were removed.
MOST_UNOPENED = 100_000
VERDICTS = ("applied", "duplicate", "refused", "corrected")

#: Called with each exam when it is forgotten: the last chance to look at it.
OnExam = Callable[[str, Exam], object]


class Ledger:
    """Everything that is open. `take` each line, in about the order of time, then `end`."""

    def __init__(self, findings: Findings, *, on_exam: OnExam | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._findings = findings
        self._exams: dict[str, Exam] = {}
        self._done = Recent(least=RECENT_EXAMS, forget=self._judge)
        self._on_exam = on_exam
        self._unopened: list[tuple[str, int]] = []
        self._others: dict[str, int] = {}
        self._others_done: Recent[int] = Recent(least=RECENT_OTHERS)
        self._tasks = Tasks(findings)
        self._mails: Recent[bool] = Recent()
        self.handlers: dict[str, Callable[[Line], None]] = {
            "accepted": self._accepted,
            "dispatched": self._dispatched,
            **dict.fromkeys(VERDICTS, self._verdict),
            "waiting": self._waiting,
            "buried": self._buried,
            "deadline_fired": self._deadline_fired,
            "exam_rebuilt": self._rebuilt,
            "echo_printed": self._echo_printed,
            "echo_skipped": self._echo_skipped,
            "task_ended": self._task_ended,
            "mail_sent": self._mail_sent,
        }

    def end(self, *, end_ms: int, grace_ms: int) -> None:
        """
        Judge what is still open.

        Args:
            end_ms: When the log ends.
            grace_ms: For how long something may be under way.
        """
        for pk, exam in self._exams.items():
            self._find_burials(exam)
            self._judge(pk, exam)
            self._judge_open(pk, exam, end_ms=end_ms, grace_ms=grace_ms)
        for entry, seen in self._others.items():
            if not seen & DONE:
                self._undecided("", entry, seen, end_ms=end_ms, grace_ms=grace_ms)
        self._done.clear()
        self._tasks.end()
        for text, at_ms in self._unopened:
            self._findings.lacking("without start", text, at_ms=at_ms)

    def _exam(self, pk: str) -> Exam:
        return self._exams.get(pk) or self._open(pk)

    def _open(self, pk: str) -> Exam:
        exam = self._exams[pk] = self._done.pop(pk) or Exam()
        return exam

    def _see(self, line: Line, what: int) -> int:
        """Note what a line says of a command of no exam; return what was seen of it before."""
        entry = line.entry or ""
        before = self._others.pop(entry, None)
        if before is None:
            before = self._others_done.pop(entry) or 0
        seen = before | what
        if seen & DONE:
            self._others_done.put(entry, seen)
        else:
            self._others[entry] = seen
        return before

    def _accepted(self, line: Line) -> None:
        self.counts["accepted"] += 1
        if line.pk and line.entry:
            self._saw(line.pk, self._exam(line.pk), line, ACCEPTED)
        else:
            self._see(line, ACCEPTED)

    def _dispatched(self, line: Line) -> None:
        self.counts["dispatched"] += 1
        if line.pk:
            seen = self._saw(line.pk, self._exam(line.pk), line, DISPATCHED)
        else:
            seen = self._see(line, DISPATCHED)
        if line.task_id and not seen & DONE:  # else the worker's file was read first, or it is late
            self._tasks.given(line.entry or "", line.task_id)

    def _verdict(self, line: Line) -> None:
        entry, pk = line.entry or "", line.pk
        self.counts[line.event] += 1
        self._tasks.done(entry)
        if pk is None:
            self._see(line, DONE)
            return
        exam = self._exam(pk)
        command = exam.see(entry, DONE, line.type)
        if line.redelivered:
            self._findings.noted("confirmed again")
        elif command.record and not exam.is_rebuilt:
            self._findings.violated("decided twice", f"{pk}: {entry} was recorded twice")
        if not (command.record and line.redelivered):
            self._record(exam, command, line)
        if exam.is_complete:
            self._put_aside(pk, exam)

    def _record(self, exam: Exam, command: Command, line: Line) -> None:
        name = line.type or ""
        at_ms = entry_ms(line.entry or "") if line.at_ms is None else line.at_ms
        command.record = Record(
            name, at_ms, line.value, line.event, line.reason, line.command_id, line.source
        )
        if name != START and line.event in ("applied", "corrected"):
            exam.is_decided = True
        elif line.event != "applied" and outcome(exam.records) is None:
            exam.is_decided = True  # long before, or its start is missing: `broken` tells

    def _waiting(self, line: Line) -> None:
        if line.pk and line.entry:
            self._exam(line.pk).see(line.entry, WAITING, line.type)

    def _buried(self, line: Line) -> None:
        self.counts["buried"] += 1
        self._tasks.done(line.entry or "")
        if line.pk:
            exam = self._exam(line.pk)
            exam.is_decided = exam.is_decided or not exam.records
            self._saw(line.pk, exam, line, DONE | BURIED)
        else:
            self._see(line, DONE)

    def _deadline_fired(self, line: Line) -> None:
        self.counts["fired"] += 1
        if not (line.pk and line.entry):
            return
        self._exam(line.pk).see(line.entry, ACCEPTED, EXPIRE)
        if line.deadline_ms is not None and entry_ms(line.entry) <= line.deadline_ms:
            text = f"{line.pk}: {line.entry} is not after its deadline, {line.deadline_ms}"
            self._findings.violated("fired early", text)

    def _rebuilt(self, line: Line) -> None:
        if line.pk:
            self._exam(line.pk).is_rebuilt = True

    def _echo_printed(self, line: Line) -> None:
        self.counts["echoes printed"] += 1
        entry = line.entry or ""
        self._tasks.done(entry)
        if self._see(line, DONE | PRINTED) & PRINTED:
            self._findings.violated("printed twice", f"echo {line.command_id}, {entry}")

    def _echo_skipped(self, line: Line) -> None:
        if line.reason == "done":
            self._tasks.done(line.entry or "")
            self._see(line, DONE)

    def _mail_sent(self, line: Line) -> None:
        self.counts["mails"] += 1
        slot = str(line.slot_s)
        if self._mails.pop(slot):
            self._findings.violated("mailed twice", f"the digest of slot {slot}")
        self._mails.put(slot, True)  # noqa: FBT003 - a set with a memory

    def _task_ended(self, line: Line) -> None:
        self.counts["tasks"] += 1
        self._tasks.ended(line.task_id or "")

    def _saw(self, pk: str, exam: Exam, line: Line, what: int) -> int:
        """
        Note what a line says of a command of an exam; return what was seen of it by now.

        A complete exam is put aside: it is judged when no more lines about it can be near.
        """
        seen = exam.see(line.entry or "", what, line.type).seen
        if exam.is_complete:
            self._put_aside(pk, exam)
        return seen

    def _put_aside(self, pk: str, exam: Exam) -> None:
        self._done.put(pk, exam)
        del self._exams[pk]

    def _find_burials(self, exam: Exam) -> None:
        """Look for what the dispatcher has buried: its line names the entry alone."""
        for entry, command in exam.commands.items():
            if not command.seen & DONE and self._others_done.pop(entry):
                exam.see(entry, DONE | BURIED, None)

    def _judge(self, pk: str, exam: Exam) -> None:
        for rule, text in broken(pk, exam):
            if rule == "without start" and len(self._unopened) < MOST_UNOPENED:
                starts = (entry_ms(entry) for entry, name in exam.types.items() if name == START)
                self._unopened.append((text, min(starts, default=0)))
            else:
                self._findings.violated(rule, text)
        if self._on_exam:
            self._on_exam(pk, exam)

    def _judge_open(self, pk: str, exam: Exam, *, end_ms: int, grace_ms: int) -> None:
        for entry, command in exam.commands.items():
            if not command.seen & DONE:
                grace = max(grace_ms, ORPHAN_MS) if command.seen & WAITING else grace_ms
                self._undecided(pk, entry, command.seen, end_ms=end_ms, grace_ms=grace)
        end = outcome(exam.records)
        if end is None or end.decided_by:
            return
        left_ms = end.deadline_ms + grace_ms - end_ms
        if left_ms >= 0:
            self._findings.noted("under way", f"exam {pk}")
        elif EXPIRE not in exam.types.values():
            past_s = (end_ms - end.deadline_ms) / 1000
            self._findings.violated("never fired", f"{pk}: nothing, {past_s:.1f} s after its time")

    def _undecided(self, pk: str, entry: str, seen: int, *, end_ms: int, grace_ms: int) -> None:
        task_id = self._tasks.of(entry)
        whose = f"exam {pk}, " if pk else ""
        had = ", given to no task" if not seen & DISPATCHED else f", given to task {task_id}"
        text = f"{whose}entry {entry}{had}"
        if end_ms - entry_ms(entry) <= grace_ms:
            self._findings.noted("under way", text)
            return
        self._findings.lacking("never decided", text, at_ms=entry_ms(entry))
        if task_id and entry_ms(entry) >= self._findings.removed_ms:
            self._findings.violated("task never ended", f"task {task_id}: {text}")
