"""Judge: hold what was acknowledged against what is there. Pure, and not our rules' own code."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.chaos.evidence import Evidence
from ops.chaos.ledger import Sent
from ops.chaos.oracle import Came, expected

#: Where a record of each type has its value.
VALUE = {"exam.start": "duration", "exam.finish": "status", "exam.expire": "deadline"}
ENDS = ("exam.finish", "exam.expire")
#: Verdicts of a command that changed an exam.
MOVED = ("applied", "corrected")


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: which one, whose, and what was seen."""

    rule: str
    what: str
    seen: str


def judge(sent: Sequence[Sent], evidence: Evidence) -> list[Violation]:
    """List every broken promise."""
    exams: dict[str, list[Sent]] = defaultdict(list)
    for one in sent:
        if one.pk is not None:
            exams[one.pk].append(one)
    found = [Violation("not at its end", "the system", left) for left in evidence.left]
    found += [Violation("damaged", path, "is no document") for path in evidence.damaged]
    found += [Violation("denied", one.pk or one.type, one.denied) for one in sent if one.denied]
    for pk in sorted(exams.keys() | evidence.documents.keys()):
        try:
            found += _exam(pk, exams[pk], evidence)
        except (KeyError, TypeError, ValueError) as error:
            found.append(Violation("damaged", pk, f"is no document of an exam: {error!r}"))
    found += _echoes([one for one in sent if one.type == "echo"], evidence)
    found += _garbage([one for one in sent if one.type == "garbage"], evidence)
    return found + list(_counts(evidence))


def lateness_ms(evidence: Evidence) -> list[int]:
    """List by how much each `absent` came after its deadline, sorted."""
    late = []
    for pk, at_ms in evidence.absent_at_ms.items():
        document = evidence.documents.get(pk)
        if document and document["status"] == "absent":
            late.append(at_ms - _ms(document["deadline"]))
    return sorted(late)


def _exam(pk: str, sent: Sequence[Sent], evidence: Evidence) -> Iterator[Violation]:
    document = evidence.documents.get(pk)
    history = document["history"] if document else []
    yield from _arrivals(pk, sent, history, evidence)
    if document is None:
        return
    facts = {(r["entry"], r["type"], r[VALUE[r["type"]]]) for r in history}
    facts |= {(one.entry, one.type, one.value) for one in sent if one.entry}
    came = [Came(entry=e, type=t, value=v) for e, t, v in facts if t != "exam.expire"]
    wanted = expected(came)
    if wanted is None:
        yield Violation("unasked", pk, "it has a file, and nobody started it")
        return
    expiries = [r for r in history if r["type"] == "exam.expire" and r["verdict"] in MOVED]
    was_absent = document["status"] == "absent" or expiries or pk in evidence.absent_at_ms
    if wanted.status != "absent" and was_absent:
        yield Violation("false absent", pk, f"it was {wanted.status} in time")
    elif document["status"] != wanted.status:
        yield Violation("wrong end", pk, f"{document['status']} instead of {wanted.status}")
    if _ms(document["deadline"]) != wanted.deadline_ms:
        yield Violation("wrong end", pk, f"its deadline is {document['deadline']}")
    is_early = [r for r in expiries if int(r["entry"].partition("-")[0]) <= wanted.deadline_ms]
    if is_early or evidence.absent_at_ms.get(pk, wanted.deadline_ms + 1) <= wanted.deadline_ms:
        yield Violation("early", pk, f"absent at or before its deadline {document['deadline']}")


def _arrivals(
    pk: str, sent: Sequence[Sent], history: Sequence[dict[str, Any]], evidence: Evidence
) -> Iterator[Violation]:
    """Look for what is missing, what is there twice, and what nobody sent."""
    entries = Counter(record["entry"] for record in history)
    values = {
        record["entry"]: (record["type"], record[VALUE[record["type"]]]) for record in history
    }
    for one in sent:
        if not one.entry:
            continue
        if one.entry in evidence.dead:
            yield Violation("buried", pk, f"{one.type} {one.entry}: {evidence.dead[one.entry]}")
        elif not entries[one.entry]:
            yield Violation("lost", pk, f"{one.type} {one.entry} was acknowledged")
        elif one.type != "exam.expire" and values[one.entry] != (one.type, one.value):
            yield Violation("altered", pk, f"{one.entry} was {one.value}: {values[one.entry]}")
    yield from (
        Violation("twice", pk, f"{e} recorded {n} times") for e, n in entries.items() if n > 1
    )
    applied = [record for record in history if record["verdict"] == "applied"]
    for types in (("exam.start",), ENDS):
        if (times := sum(record["type"] in types for record in applied)) > 1:
            yield Violation("twice", pk, f"{' or '.join(types)} applied {times} times")
    if any(record["verdict"] == "corrected" for record in history):
        yield Violation("corrected", pk, "for a moment it showed what was not so")
    yield from _strangers(pk, sent, history)


def _strangers(
    pk: str, sent: Sequence[Sent], history: Sequence[dict[str, Any]]
) -> Iterator[Violation]:
    """Look for commands that nobody sent; one whose answer was lost may be there or not."""
    known = {one.id for one in sent if one.id}
    may_be = Counter((one.type, one.value) for one in sent if not one.id)
    found = {
        (record["command"], record["type"], record[VALUE[record["type"]]])
        for record in history
        if record["type"] != "exam.expire" and record["command"] not in known
    }
    seen = Counter((type_name, value) for _, type_name, value in found)
    # Without an id of the producer's, the entry's is the command's, also where its answer was lost.
    for what, times in (seen - may_be).items():
        yield Violation("unasked", pk, f"{what} is there {times} times more than it was sent")


def _echoes(sent: Sequence[Sent], evidence: Evidence) -> Iterator[Violation]:
    for one in {one.id: one for one in sent if one.entry}.values():
        times = evidence.printed[one.id or ""]
        if times == 0 and one.entry not in evidence.dead:
            yield Violation("lost", f"echo {one.value}", f"{one.entry} was never printed")
    for command_id, times in evidence.printed.items():
        if times > 1:
            yield Violation("twice", f"echo {command_id}", f"printed {times} times")


def _garbage(sent: Sequence[Sent], evidence: Evidence) -> Iterator[Violation]:
    for one in sent:
        if one.entry and len(evidence.dead.get(one.entry, [])) != 1:
            seen = evidence.dead.get(one.entry)
            yield Violation(
                "lost" if not seen else "twice", f"garbage {one.entry}", f"dead: {seen}"
            )


def _counts(evidence: Evidence) -> Iterator[Violation]:
    """Compare what the system counted, for its mails, with the files."""
    ends = Counter(document["status"] for document in evidence.documents.values())
    there = {**ends, "started": len(evidence.documents)}
    for status in sorted(there.keys() | evidence.counts.keys()):
        counted, found = evidence.counts.get(status, 0), there.get(status, 0)
        if counted != found:
            rule = "twice" if counted > found else "lost"
            yield Violation(rule, f"count of {status}", f"{counted} counted, {found} on disk")


def _ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)
