"""Exam: the rules. A pure fold over facts: no clock, no I/O, and any order ends the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from filestore.fact import Fact, Identity, Status, Type


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
    """
    A fact in an exam's history, with what applying it did.

    Attributes:
        task: Id of the task that applied it, for people; the rules do not look at it.
    """

    fact: Fact
    verdict: Verdict
    reason: Reason | None = None
    task: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the facts of an opened exam amount to: the start that counts, and what decided it."""

    opened_by: Fact
    decided_by: Fact | None = None

    @property
    def status(self) -> Status:
        """Where the exam stands."""
        match self.decided_by:
            case None:
                return Status.STARTED
            case Fact(type=Type.EXPIRE):
                return Status.ABSENT
            case Fact(value=result):
                return Status(str(result))

    @property
    def started_ms(self) -> int:
        """When the exam's clock began to run."""
        return self.opened_by.at_ms

    @property
    def deadline_ms(self) -> int:
        """The last millisecond in which a result is in time."""
        return self.opened_by.at_ms + int(self.opened_by.value) * 1000

    @property
    def decided_ms(self) -> int | None:
        """When what decided it came in."""
        return self.decided_by.at_ms if self.decided_by else None


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


def transition(
    pk: str, exam: Exam | None, facts: Sequence[Fact], *, task: str | None = None
) -> Transition:
    """
    Apply *facts* to *exam*.

    A start is applied before the rest, so that a result which overtook its start is judged. The
    status depends on the set of all facts alone; only the verdicts tell in which order they came.

    Args:
        task: Id of the task that does it; it stands in the new records.
    """
    history = exam.history if exam else ()
    known = {record.fact.entry: record for record in history}
    fresh = {fact.entry: fact for fact in facts if fact.entry not in known}
    repeated = tuple(known[fact.entry] for fact in facts if fact.entry in known)

    standing = exam.standing if exam else None
    new: list[Record] = []
    seen = [record.fact for record in history]
    first: dict[Identity, Fact] = {}  # of each command its first entry, once somebody asks
    waiting: list[Fact] = []
    for fact in sorted(fresh.values(), key=lambda fact: fact.turn):
        after = _then(fact, standing, seen)
        if after is None:
            waiting.append(fact)
            continue
        if standing == after:
            first = first or _first_of_each(seen)
        verdict, reason = _judge(fact, before=standing, after=after, first=first)
        new.append(Record(fact=fact, verdict=verdict, reason=reason, task=task))
        seen.append(fact)
        if first:
            first[fact.identity] = min(fact, first.get(fact.identity, fact), key=_arrival)
        standing = after
    if standing is None:
        return Transition(exam=None, waiting=tuple(waiting))
    after_all = Exam(pk=pk, standing=standing, history=(*history, *new))
    return Transition(exam=after_all, new=tuple(new), known=repeated)


def stand(facts: Iterable[Fact]) -> Standing | None:
    """
    Judge a set of facts. Their order does not matter.

    Returns:
        None when no start is among them.
    """
    facts = list(facts)
    starts = (fact for fact in facts if fact.type is Type.START)
    start = min(starts, key=_arrival, default=None)
    if start is None:
        return None
    opened = Standing(opened_by=start)
    deciding = (fact for fact in facts if _decides(fact, opened))
    decided = min(deciding, key=_rank, default=None)
    return replace(opened, decided_by=decided) if decided else opened


def _then(fact: Fact, standing: Standing | None, seen: Sequence[Fact]) -> Standing | None:
    """
    Judge what *fact* makes of *standing*, which is what *seen* amount to.

    `stand` finds the same. But it looks at every fact of the exam, and only an earlier start asks
    for that: two thousand results for one exam would hold its lock for a second.
    """
    if standing is None or _reopens(fact, standing):
        return stand([*seen, fact])
    decided = standing.decided_by
    if not _decides(fact, standing) or (decided and _rank(decided) <= _rank(fact)):
        return standing
    return Standing(opened_by=standing.opened_by, decided_by=fact)


def _reopens(fact: Fact, standing: Standing) -> bool:
    """Whether *fact* is a start that came before the one which has counted so far."""
    return fact.type is Type.START and fact.ingress <= standing.opened_by.ingress


def _decides(fact: Fact, standing: Standing) -> bool:
    """
    Whether *fact* could decide the exam: a result in time, or an expiry of this very deadline.

    A result of the deadline's millisecond is in time, and an expiry of it comes too early.
    """
    if fact.type is Type.FINISH:
        return fact.at_ms <= standing.deadline_ms
    if fact.type is Type.EXPIRE:
        return fact.value == standing.deadline_ms and fact.at_ms > standing.deadline_ms
    return False


def _rank(fact: Fact) -> tuple[bool, tuple[int, int, int]]:
    """Of several facts that could decide, which one does: results first, then the earliest."""
    return fact.type is not Type.FINISH, fact.ingress


def _arrival(fact: Fact) -> tuple[int, int, int]:
    return fact.ingress


def _first_of_each(facts: Iterable[Fact]) -> dict[Identity, Fact]:
    """Find the entry of each command that came first."""
    first: dict[Identity, Fact] = {}
    for fact in facts:
        first[fact.identity] = min(fact, first.get(fact.identity, fact), key=_arrival)
    return first


def _judge(
    fact: Fact, *, before: Standing | None, after: Standing, first: Mapping[Identity, Fact]
) -> tuple[Verdict, Reason | None]:
    """Say what a fact did. *first* has the entry of each command before it that came first."""
    if before is None:
        return Verdict.APPLIED, None
    if before != after:
        is_next = before.status is Status.STARTED and fact.type is not Type.START
        return Verdict.APPLIED if is_next else Verdict.CORRECTED, None
    twin = first.get(fact.identity)
    if twin is None:
        return Verdict.REFUSED, _reason(fact, after)
    is_same = twin.value == fact.value
    return (Verdict.DUPLICATE, None) if is_same else (Verdict.REFUSED, Reason.CONFLICT)


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
