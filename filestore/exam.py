"""Exam: the rules. A pure fold over facts: no clock, no I/O, and any order ends the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from filestore.fact import Fact, Status, Type


class Verdict(StrEnum):
    """What applying a command did."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    CORRECTED = "corrected"


class Reason(StrEnum):
    """Why a command was refused."""

    ALREADY_STARTED = "already started"
    ALREADY_DECIDED = "already decided"
    LATE = "late"
    NOT_DUE = "not due"
    OTHER_DEADLINE = "other deadline"
    CONFLICT = "same id, other content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A fact in an exam's history, with what applying it did."""

    fact: Fact
    verdict: Verdict
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the facts of an opened exam amount to. *decided_by* is the entry that decided it."""

    started_ms: int
    deadline_ms: int
    status: Status = Status.STARTED
    decided_ms: int | None = None
    decided_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """An opened exam: its facts in the order of their application, and where they leave it."""

    pk: str
    standing: Standing
    history: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """
    What came of applying facts to an exam.

    Attributes:
        exam: The exam afterwards; None while nothing has opened it.
        new: Records that were added, in the order of application.
        known: Records of facts that the history already held: a redelivery.
        waiting: Facts that cannot be judged before the exam is opened.
    """

    exam: Exam | None
    new: tuple[Record, ...] = ()
    known: tuple[Record, ...] = ()
    waiting: tuple[Fact, ...] = ()


def transition(pk: str, exam: Exam | None, facts: Sequence[Fact]) -> Transition:
    """
    Apply *facts* to *exam*.

    A start is applied before the rest, so that a result which overtook its start is judged. The
    status depends on the set of all facts alone; only the verdicts tell in which order they came.
    """
    history = exam.history if exam else ()
    known = {record.fact.entry: record for record in history}
    fresh = {fact.entry: fact for fact in facts if fact.entry not in known}
    repeated = tuple(known[fact.entry] for fact in facts if fact.entry in known)
    ordered = sorted(fresh.values(), key=lambda fact: fact.turn)

    standing = exam.standing if exam else None
    new: list[Record] = []
    seen = [record.fact for record in history]
    waiting: list[Fact] = []
    for fact in ordered:
        after = stand([*seen, fact])
        if after is None:
            waiting.append(fact)
            continue
        new.append(_record(fact, before=standing, after=after, seen=seen))
        seen.append(fact)
        standing = after
    if standing is None:
        return Transition(exam=None, waiting=tuple(waiting))
    after_all = Exam(pk=pk, standing=standing, history=(*history, *new))
    return Transition(exam=after_all, new=tuple(new), known=repeated)


def stand(facts: Sequence[Fact]) -> Standing | None:
    """
    Judge a set of facts. Their order in *facts* does not matter.

    Returns:
        None when no start is among them.
    """
    ordered = sorted(facts, key=lambda fact: fact.ingress)
    start = next((fact for fact in ordered if fact.type is Type.START), None)
    if start is None:
        return None
    deadline_ms = start.at_ms + int(start.value) * 1000
    opened = Standing(started_ms=start.at_ms, deadline_ms=deadline_ms)
    result = next((fact for fact in ordered if _counts(fact, deadline_ms)), None)
    if result is not None:
        return _decided(opened, Status(str(result.value)), result)
    expiry = next((fact for fact in ordered if _expires(fact, deadline_ms)), None)
    if expiry is not None:
        return _decided(opened, Status.ABSENT, expiry)
    return opened


def _counts(fact: Fact, deadline_ms: int) -> bool:
    """A result of the deadline's very millisecond is in time."""
    return fact.type is Type.FINISH and fact.at_ms <= deadline_ms


def _expires(fact: Fact, deadline_ms: int) -> bool:
    """An expiry of another deadline, or one that came before the time, is nobody's."""
    return fact.type is Type.EXPIRE and fact.value == deadline_ms and fact.at_ms > deadline_ms


def _decided(opened: Standing, status: Status, by: Fact) -> Standing:
    return Standing(
        started_ms=opened.started_ms,
        deadline_ms=opened.deadline_ms,
        status=status,
        decided_ms=by.at_ms,
        decided_by=by.entry,
    )


def _record(
    fact: Fact, *, before: Standing | None, after: Standing, seen: Sequence[Fact]
) -> Record:
    if before is None or (before != after and _moves_on(fact, before)):
        return Record(fact=fact, verdict=Verdict.APPLIED)
    if before != after:
        return Record(fact=fact, verdict=Verdict.CORRECTED)
    twins = [other for other in seen if other.identity == fact.identity]
    first = min(twins, key=lambda twin: twin.ingress, default=None)
    if first and first.value != fact.value:
        return Record(fact=fact, verdict=Verdict.REFUSED, reason=Reason.CONFLICT)
    if first:
        return Record(fact=fact, verdict=Verdict.DUPLICATE)
    return Record(fact=fact, verdict=Verdict.REFUSED, reason=_reason(fact, after))


def _moves_on(fact: Fact, before: Standing) -> bool:
    """Whether a change is the ordinary next step: an open exam is decided."""
    return before.status is Status.STARTED and fact.type is not Type.START


def _reason(fact: Fact, standing: Standing) -> Reason:
    match fact.type:
        case Type.START:
            return Reason.ALREADY_STARTED
        case Type.FINISH if fact.at_ms > standing.deadline_ms:
            return Reason.LATE
        case Type.EXPIRE if fact.value != standing.deadline_ms:
            return Reason.OTHER_DEADLINE
        case Type.EXPIRE if fact.at_ms <= standing.deadline_ms:
            return Reason.NOT_DUE
        case _:
            return Reason.ALREADY_DECIDED
