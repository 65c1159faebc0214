"""Changes: what the world is told when an exam moved. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from filestore.document import iso
from filestore.exam import Exam, Record, Verdict
from filestore.fact import Status, Type
from ops import tally

_dump = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    An exam came to a status, by a record.

    Attributes:
        status: None: the record was refused, and the exam stays as it was.
    """

    pk: str
    status: Status | None
    record: Record


def changes(exam: Exam, records: Sequence[Record]) -> list[Change]:
    """List the changes that *records* of *exam* made, in order; refusals change nothing."""
    moved = (Verdict.APPLIED, Verdict.CORRECTED)
    return [
        Change(pk=exam.pk, status=_status(exam, record), record=record)
        for record in records
        if record.verdict in moved
    ]


def refusals(exam: Exam, records: Sequence[Record]) -> list[Change]:
    """List which of *records* were refused: whoever waits for their answer is told, too."""
    return [
        Change(pk=exam.pk, status=None, record=record)
        for record in records
        if record.verdict is Verdict.REFUSED
    ]


def event_fields(change: Change, exam: Exam) -> dict[str, str]:
    """
    Make an entry of the stream of events, named as in the stream of commands.

    Its type says what the exam came to, or ``exam.refused``; then ``status`` is where it stands.
    """
    fact = change.record.fact
    data = {
        "pk": change.pk,
        "status": change.status or exam.standing.status,
        "at": iso(fact.at_ms),
        "deadline": iso(exam.standing.deadline_ms),
        "verdict": change.record.verdict,
        "command": fact.command,
        "entry": fact.entry,
    }
    if change.record.reason:
        data["reason"] = change.record.reason
    return {"type": f"exam.{change.status or Verdict.REFUSED}", "data": _dump(data).decode()}


def tallied(done: Iterable[tuple[Sequence[Record], int]]) -> Counter[str]:
    """
    Count records, and how long each took until its effect was on disk.

    What an expiry took is how late the exam is absent; one that changed nothing is not timed.

    Args:
        done: Records, and when they were on disk, in milliseconds.
    """
    counted: Counter[str] = Counter()
    for records, now_ms in done:
        for record in records:
            kind, reason = record.fact.type, record.reason or ""
            counted[tally.field(tally.APPLIED, kind, record.verdict, reason)] += 1
            for name, number in _took(record, now_ms).items():
                counted[name] += number
    return counted


def _took(record: Record, now_ms: int) -> Mapping[str, int]:
    fact = record.fact
    if fact.type is not Type.EXPIRE:
        return tally.timed(tally.LATENCY, fact.type, ms=now_ms - fact.at_ms)
    if record.verdict is Verdict.APPLIED:
        return tally.timed(tally.LATENESS, ms=now_ms - int(fact.value))
    return {}


def _status(exam: Exam, record: Record) -> Status:
    if record.verdict is Verdict.CORRECTED:
        return exam.standing.status
    match record.fact.type:
        case Type.START:
            return Status.STARTED
        case Type.FINISH:
            return Status(str(record.fact.value))
        case Type.EXPIRE:
            return Status.ABSENT
