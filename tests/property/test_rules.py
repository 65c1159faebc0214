"""The rules of an exam, for any facts in any order."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st
from support.documents import to_document

from filestore.document import from_document
from filestore.exam import Exam, Transition, Verdict, stand, transition
from filestore.fact import Fact, Status, Type

PK = "math-7"
#: A moment of 2025, in milliseconds; starts lie here, and deadlines one or two seconds later.
T0 = 1_763_822_000_000
DECISIONS = (Status.PASS, Status.FAIL, Status.ABSENT)

#: Milliseconds after T0, crowded where it matters: around the starts and around their deadlines.
MOMENTS = st.sampled_from((0, 1, 2, 999, 1000, 1001, 1002, 1999, 2000, 2001, 2002, 5000))
#: Milliseconds by which a producer forges its entry id into the future.
FORGED = st.sampled_from((0, 0, 0, 0, 1, 3000))
#: What a command says; an expiry's value is chosen when the deadlines are known.
SAYINGS = st.sampled_from(
    ((Type.START, 1), (Type.START, 2), (Type.FINISH, "pass"), (Type.FINISH, "fail"))
    + ((Type.EXPIRE, 0),) * 3
)
#: Producers' ids: none (then it is the entry's), or one that others use as well.
NAMES = st.sampled_from(((None, None),) * 2 + ((None, "k"),) * 2 + (("school", "k"),))
LINES = st.tuples(MOMENTS, FORGED, SAYINGS, NAMES)
OPENING = (0, 0, (Type.START, 1), (None, None))


@st.composite
def streams(draw: st.DrawFn, *, is_opened: bool = False) -> list[Fact]:
    """Facts of one exam in the order of the stream, on it with times as Redis gives them."""
    lines = sorted(draw(st.lists(LINES, min_size=1, max_size=9)), key=lambda line: line[0])
    if is_opened:
        lines.insert(0, OPENING)
    deadlines = [
        T0 + at + 1000 * int(value) for at, _, (kind, value), _ in lines if kind is Type.START
    ]
    facts: list[Fact] = []
    last_ms = 0
    for seq, (at, forged, (kind, value), (source, name)) in enumerate(lines):
        last_ms = max(last_ms, T0 + at + forged)
        entry = f"{last_ms}-{seq}"
        if kind is Type.EXPIRE:
            value = draw(st.sampled_from([*deadlines, T0]))  # noqa: PLW2901
        facts.append(
            Fact(
                at_ms=T0 + at,
                entry=entry,
                command=name or entry,
                source=source,
                type=kind,
                value=value,
            )
        )
    return facts


@st.composite
def pieces(draw: st.DrawFn, facts: Sequence[Fact]) -> list[list[Fact]]:
    """The same facts in the same order, cut into what each drain of the inbox finds."""
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(facts) - 1)), max_size=4)))
    return [list(facts[a:b]) for a, b in zip([0, *cuts], [*cuts, len(facts)], strict=True)]


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[Fact]]:
    """Facts in any order, some of them several times, cut into drains."""
    stream = draw(streams())
    again = draw(st.lists(st.sampled_from(stream), max_size=4))
    return draw(pieces(draw(st.permutations([*stream, *again]))))


def drain(batches: Sequence[Sequence[Fact]]) -> list[Transition]:
    """Apply batches as the exam task does: what has to wait is found again by the next drain."""
    outcomes = [Transition(exam=None)]
    for batch in batches:
        last = outcomes[-1]
        outcomes.append(transition(PK, last.exam, [*last.waiting, *batch]))
    return outcomes[1:]


def opened(facts: Sequence[Fact]) -> Exam:
    """The exam after *facts*, which begin with a start."""
    exam = transition(PK, None, facts).exam
    assert exam is not None
    return exam


def is_in_conflict(fact: Fact, facts: Sequence[Fact]) -> bool:
    """Whether the command's id was used before it came, for something else."""
    return any(
        other.identity == fact.identity
        and other.value != fact.value
        and other.ingress < fact.ingress
        for other in facts
    )


@given(deliveries())
def test_any_order_ends_the_same(batches: list[list[Fact]]) -> None:
    """Where an exam ends depends on what was said and when, not on how it was delivered."""
    facts = [fact for batch in batches for fact in batch]

    exam = drain(batches)[-1].exam

    assert stand(facts) == (exam.standing if exam else None)


@given(deliveries())
def test_nothing_is_lost(batches: list[list[Fact]]) -> None:
    """Each command ends in the history once, or waits because nothing opened its exam."""
    entries = {fact.entry for batch in batches for fact in batch}

    last = drain(batches)[-1]

    recorded = [record.fact.entry for record in last.exam.history] if last.exam else []
    waiting = [fact.entry for fact in last.waiting]
    assert sorted(entries) == sorted(recorded + waiting)
    assert not (last.exam and last.waiting)


@given(streams(is_opened=True), st.data())
def test_sent_twice_counts_once(facts: list[Fact], data: st.DataObject) -> None:
    """A start or result that lies in the stream twice is a duplicate, and changes nothing."""
    exam = opened(facts)
    fact = data.draw(st.sampled_from([fact for fact in facts if fact.type is not Type.EXPIRE]))
    assume(all(other.value == fact.value for other in facts if other.identity == fact.identity))
    later_ms = T0 + data.draw(MOMENTS.filter(lambda ms: T0 + ms >= fact.at_ms))
    twin = replace(fact, entry=f"{T0 + 9000}-0", at_ms=later_ms)

    outcome = transition(PK, exam, [twin])

    assert [Verdict.DUPLICATE] == [record.verdict for record in outcome.new]
    assert exam.standing == opened([*facts, twin]).standing


@given(streams(is_opened=True))
def test_in_time_is_never_absent(facts: list[Fact]) -> None:
    """Whoever submitted in time, under an id not used before, gets what was reported in time."""
    standing = opened(facts).standing
    in_time = [f for f in facts if f.type is Type.FINISH and f.at_ms <= standing.deadline_ms]

    is_told = any(not is_in_conflict(fact, facts) for fact in in_time)
    assert not is_told or standing.status in {fact.value for fact in in_time}


@given(streams(is_opened=True))
def test_first_result_counts(facts: list[Fact]) -> None:
    """Of results that came in time, each under an id of its own, the first decides."""
    own = [replace(fact, command=fact.entry) for fact in facts]
    standing = opened(own).standing
    in_time = [f for f in own if f.type is Type.FINISH and f.at_ms <= standing.deadline_ms]

    decided = [standing.decided_by] if in_time else []
    assert in_time[:1] == decided


@given(streams(is_opened=True))
def test_absent_needs_an_expiry_after_the_deadline(facts: list[Fact]) -> None:
    """Nobody is absent before the deadline has passed, and an expiry of this deadline says so."""
    standing = opened(facts).standing

    expiries = [
        fact
        for fact in facts
        if (fact.type, fact.value) == (Type.EXPIRE, standing.deadline_ms)
        and fact.at_ms > standing.deadline_ms
    ]
    assert standing.status is not Status.ABSENT or standing.decided_by in expiries


@given(streams(is_opened=True))
def test_expiry_ends_what_is_open(facts: list[Fact]) -> None:
    """Once its own expiry has come after the deadline, no exam is still open."""
    deadline_ms = opened(facts).standing.deadline_ms
    end = f"{deadline_ms + 9000}-0"
    expiry = replace(
        facts[0],
        at_ms=deadline_ms + 1,
        entry=end,
        command=end,
        source=None,
        type=Type.EXPIRE,
        value=deadline_ms,
    )

    assert opened([*facts, expiry]).standing.status in DECISIONS


@given(streams(is_opened=True), st.data())
def test_again_adds_nothing(facts: list[Fact], data: st.DataObject) -> None:
    """Applying commands again that are in the history adds nothing, and finds each of them."""
    exam = opened(facts)
    again = data.draw(st.permutations(facts))

    outcome = transition(PK, exam, again)

    assert Transition(exam=exam, known=outcome.known) == outcome
    assert [fact.entry for fact in again] == [record.fact.entry for record in outcome.known]
    assert set(exam.history) == set(outcome.known)


@given(deliveries())
def test_history_only_grows(batches: list[list[Fact]]) -> None:
    """What stands in the history stays there as it is; new records come after it."""
    histories = [outcome.exam.history if outcome.exam else () for outcome in drain(batches)]

    for before, after in pairwise(histories):
        assert before == after[: len(before)]


@given(deliveries())
def test_verdicts_add_up(batches: list[list[Fact]]) -> None:
    """The verdicts that the drains reported are those of the history: none missing, none twice."""
    outcomes = drain(batches)

    exam = outcomes[-1].exam
    reported = Counter(record.verdict for outcome in outcomes for record in outcome.new)
    assert Counter(record.verdict for record in (exam.history if exam else ())) == reported


@given(streams(is_opened=True), st.data())
def test_absent_is_never_taken_back_in_order(facts: list[Fact], data: st.DataObject) -> None:
    """Drained in stream order, nobody is ever shown as absent who passed or failed."""
    outcomes = drain(data.draw(pieces(facts)))

    shown = [outcome.exam.standing.status for outcome in outcomes if outcome.exam]
    assert shown[-1] is Status.ABSENT or Status.ABSENT not in shown


@given(streams(), st.data())
def test_decision_stands_in_order(facts: list[Fact], data: st.DataObject) -> None:
    """Drained in stream order, a decision that was shown is final."""
    outcomes = drain(data.draw(pieces(facts)))

    shown = [outcome.exam.standing for outcome in outcomes if outcome.exam]
    decided = {standing for standing in shown if standing.status in DECISIONS}
    assert len(decided) <= 1
    assert not decided or shown[-1] in decided


@given(deliveries())
def test_document_round_trip(batches: list[list[Fact]]) -> None:
    """What is read back from the file is what was written, to the millisecond."""
    exams = [outcome.exam for outcome in drain(batches) if outcome.exam]

    for exam in exams:
        assert exam == from_document(json.loads(json.dumps(to_document(exam))), pk=PK)
