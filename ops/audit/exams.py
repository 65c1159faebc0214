"""Exams: what the log says of one exam, and the rules it is held against. Not the fold's code."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from ops.audit.line import entry_id, entry_ms

#: What was seen of a command.
ACCEPTED, DISPATCHED, DONE, WAITING, PRINTED, BURIED = 1, 2, 4, 8, 16, 32
START, FINISH, EXPIRE = "exam.start", "exam.finish", "exam.expire"
STARTED, ABSENT = "started", "absent"


class Record(msgspec.Struct, gc=False):
    """A command that was brought to the disk: what it was, and what that did."""

    type: str
    at_ms: int
    value: int | str | None
    verdict: str
    reason: str | None
    command: str | None
    source: str | None

    def ingress(self, entry: str) -> tuple[int, int, int]:
        """Order of arrival."""
        return self.at_ms, *entry_id(entry)

    @property
    def deadline_ms(self) -> int:
        """The last millisecond in time, of a start; one without its seconds leaves none."""
        return self.at_ms + (self.value if isinstance(self.value, int) else 0) * 1000


class Command(msgspec.Struct, gc=False):
    """
    One command, as far as the log has told.

    Attributes:
        seen: What was, as bits.
        type: None until a line says so.
        record: None until it was recorded.
    """

    seen: int = 0
    type: str | None = None
    record: Record | None = None


@dataclass(slots=True)
class Exam:
    """
    One exam, as far as the log has told.

    Attributes:
        commands: By entry.
        open: How many commands are not at their end.
        is_decided: Whether a record decided it, or that was long before.
    """

    commands: dict[str, Command] = field(default_factory=dict)
    open: int = 0
    is_decided: bool = False
    is_rebuilt: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing more needs to be said: decided, and each command at its end."""
        return self.open == 0 and self.is_decided

    @property
    def types(self) -> dict[str, str]:
        """Entry -> type of command, where a line said so."""
        return {entry: one.type for entry, one in self.commands.items() if one.type}

    @property
    def records(self) -> dict[str, Record]:
        """Entry -> what was recorded, in that order."""
        return {entry: one.record for entry, one in self.commands.items() if one.record}

    def see(self, entry: str, what: int, name: str | None) -> Command:
        """Note what a line says of a command."""
        command = self.commands.get(entry)
        if command is None:
            command = self.commands[entry] = Command()
            self.open += 1
        if what & DONE and not command.seen & DONE:
            self.open -= 1
        command.seen |= what
        command.type = name or command.type
        return command


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a set of records amounts to."""

    status: str
    deadline_ms: int
    start: str
    decided_by: str | None


def outcome(records: dict[str, Record]) -> Outcome | None:
    """
    Work out where the records leave an exam; None without the start that opened it.

    The earliest start opens it. The earliest result up to the deadline's millisecond decides it.
    An expiry of this very deadline that came after it makes it absent if there is no such result.
    """
    starts = [
        (record.ingress(entry), entry) for entry, record in records.items() if record.type == START
    ]
    if not starts:
        return None
    _, start = min(starts)
    if records[start].verdict in ("refused", "duplicate"):
        return None  # another one had opened it, long before
    deadline_ms = records[start].deadline_ms
    results, expiries = [], []
    for entry, record in records.items():
        if record.type == FINISH and record.at_ms <= deadline_ms:
            results.append((record.ingress(entry), entry))
        elif record.type == EXPIRE and record.value == deadline_ms < record.at_ms:
            expiries.append((record.ingress(entry), entry))
    if results:
        _, decided_by = min(results)
        return Outcome(str(records[decided_by].value), deadline_ms, start, decided_by)
    if expiries:
        return Outcome(ABSENT, deadline_ms, start, min(expiries)[1])
    return Outcome(STARTED, deadline_ms, start, None)


def broken(pk: str, exam: Exam) -> Iterator[tuple[str, str]]:
    """Name the rules that an exam's lines break, with what was seen."""
    if _is_plain(exam):
        return
    records = exam.records
    end = outcome(records)
    moves = [(e, r) for e, r in records.items() if r.verdict in ("applied", "corrected")]
    if end is None:
        if any(record.verdict == "applied" for _, record in moves):
            yield "without start", f"{pk}: {', '.join(entry for entry, _ in moves)}"
        return
    is_reopened = any(r.verdict == "corrected" and r.type == START for _, r in moves)
    if is_reopened:
        return  # by another deadline than the one that its commands were judged by before
    yield from _expiries(pk, exam, end)
    applied = [entry for entry, record in moves if record.verdict == "applied"]
    ends = [entry for entry in applied if records[entry].type != START]
    starts = [entry for entry in applied if records[entry].type == START]
    if not exam.is_rebuilt and (len(ends) > 1 or len(starts) > 1):
        twice = ", ".join(ends if len(ends) > 1 else starts)
        yield "decided twice", f"{pk}: {twice} were all applied"
    shown = _shown(exam, end)
    if ABSENT in (end.status, shown):
        yield from _results_in_time(pk, exam, end)
    if shown not in (end.status, ABSENT):
        yield "other verdict", f"{pk}: the log says {shown}, its commands amount to {end.status}"
    yield from _refusals(pk, exam, end)


def _is_plain(exam: Exam) -> bool:
    """Whether an exam went as nearly all do: started once, and decided once by the rules."""
    if len(exam.commands) != 2:
        return False
    first, second = (command.record for command in exam.commands.values())
    if first is None or second is None:
        return False
    start, end = (first, second) if first.type == START else (second, first)
    if start.type != START or not start.verdict == end.verdict == "applied":
        return False
    if end.type == FINISH:
        return end.at_ms <= start.deadline_ms
    return end.type == EXPIRE and end.value == start.deadline_ms < end.at_ms


def _expiries(pk: str, exam: Exam, end: Outcome) -> Iterator[tuple[str, str]]:
    for entry, record in exam.records.items():
        if (
            record.type == EXPIRE
            and record.verdict == "applied"
            and record.at_ms <= end.deadline_ms
        ):
            early_ms = end.deadline_ms - record.at_ms
            yield (
                "fired early",
                f"{pk}: {entry} was applied {early_ms} ms before the deadline's end",
            )


def _shown(exam: Exam, end: Outcome) -> str:
    """Tell where the verdicts leave it: what its document showed last."""
    if exam.is_rebuilt or any(one.verdict == "corrected" for one in exam.records.values()):
        return end.status  # a correction is worked out from all records, as here
    for record in exam.records.values():
        if record.verdict == "applied" and record.type == EXPIRE:
            return ABSENT
    for record in exam.records.values():
        if record.verdict == "applied" and record.type == FINISH:
            return str(record.value)
    return STARTED


def _results_in_time(pk: str, exam: Exam, end: Outcome) -> Iterator[tuple[str, str]]:
    """Look for results that came in time, also such as were never recorded."""
    if any(record.verdict == "corrected" for record in exam.records.values()):
        return
    for entry, name in exam.types.items():
        record = exam.commands[entry].record
        if record is None and exam.commands[entry].seen & BURIED:
            continue  # for people to decide, who were told
        at_ms = record.at_ms if record else entry_ms(entry)
        if name == FINISH and at_ms <= end.deadline_ms:
            left_ms = end.deadline_ms - at_ms
            yield "absent by mistake", f"{pk}: {entry} is a result, in time by {left_ms} ms"


def _refusals(pk: str, exam: Exam, end: Outcome) -> Iterator[tuple[str, str]]:
    for entry, record in exam.records.items():
        is_late = record.type == FINISH and record.at_ms > end.deadline_ms
        if record.reason == "late" and not is_late:
            yield "other verdict", f"{pk}: {entry} was refused as late, and was in time"
        if is_late and record.verdict == "applied":
            yield "other verdict", f"{pk}: {entry} was applied, and was late"
