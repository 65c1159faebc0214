"""The rules of an exam, one by one."""

from dataclasses import replace

import pytest

from filestore.exam import Transition, Verdict, stand, transition
from filestore.fact import Fact, Status, Type

#: Milliseconds; each exam starts at zero and lasts two minutes.
DEADLINE = 120_000


def fact(at_ms: int, kind: Type, value: int | str, name: str | None, *, seq: int) -> Fact:
    """A command with the producer's id *name*, or none."""
    entry = f"{at_ms}-{seq}"
    return Fact(
        at_ms=at_ms, entry=entry, command=name or entry, source=None, type=kind, value=value
    )


def start(at_ms: int = 0, *, duration: int = 120, name: str | None = None, seq: int = 0) -> Fact:
    """An exam's start."""
    return fact(at_ms, Type.START, duration, name, seq=seq)


def finish(at_ms: int, status: str = "pass", *, name: str | None = None, seq: int = 0) -> Fact:
    """A result."""
    return fact(at_ms, Type.FINISH, status, name, seq=seq)


def expire(at_ms: int, deadline: int = DEADLINE, *, name: str | None = None, seq: int = 0) -> Fact:
    """An expiry."""
    return fact(at_ms, Type.EXPIRE, deadline, name, seq=seq)


def drained(*drains: list[Fact]) -> Transition:
    """Apply what each drain of the inbox finds; return what came of the last one."""
    outcome = Transition(exam=None)
    for facts in drains:
        outcome = transition("math-7", outcome.exam, [*outcome.waiting, *facts])
    return outcome


def status(*drains: list[Fact]) -> str:
    """Where the exam stands after all drains."""
    exam = drained(*drains).exam
    return exam.standing.status if exam else "not opened"


def verdicts(*drains: list[Fact]) -> list[str]:
    """What the last drain did, with the reasons of refusals."""
    return [
        f"refused: {record.reason}" if record.reason else str(record.verdict)
        for record in drained(*drains).new
    ]


def test_start_opens() -> None:
    """A start opens the exam; its deadline is the start's arrival and the duration."""
    exam = drained([start(5_000, duration=90)]).exam

    assert exam is not None
    assert ("started", 5_000, 95_000) == (
        exam.standing.status,
        exam.standing.started_ms,
        exam.standing.deadline_ms,
    )


def test_later_start_is_refused() -> None:
    """A second start of the same exam is refused, and does not move the deadline."""
    outcome = drained([start()], [start(1_000, duration=9_999)])

    assert outcome.exam is not None
    assert outcome.exam.standing.deadline_ms == DEADLINE
    assert ["refused: already started"] == verdicts([start()], [start(1_000, duration=9_999)])


def test_earlier_start_surfacing_late_corrects() -> None:
    """A start that arrived first but is applied second is the one that counts."""
    drains = [start(10_000)], [start(4_000)]

    exam = drained(*drains).exam
    assert exam is not None
    assert exam.standing.deadline_ms == 124_000
    assert ["corrected"] == verdicts(*drains)


def test_first_of_two_starts_in_a_millisecond_opens() -> None:
    """Of two starts in one millisecond the smaller entry id opens, as numbers and not as text."""
    exam = drained([start(duration=60, seq=10), start(duration=30, seq=9)]).exam

    assert exam is not None
    assert exam.standing.deadline_ms == 30_000


@pytest.mark.parametrize("result", ["pass", "fail"])
def test_result_decides(result: str) -> None:
    """A result in time decides the exam, at the moment of its arrival and by its entry."""
    exam = drained([start()], [finish(70_000, result)]).exam

    assert exam is not None
    assert (result, 70_000, "70000-0") == (
        exam.standing.status,
        exam.standing.decided_ms,
        exam.standing.decided_by.entry if exam.standing.decided_by else None,
    )


def test_deadlines_very_millisecond_is_in_time() -> None:
    """A result of the deadline's very millisecond counts."""
    assert status([start()], [finish(DEADLINE)]) == "pass"


def test_millisecond_later_is_late() -> None:
    """A result of one millisecond after the deadline is refused; the exam waits for its expiry."""
    assert ["refused: late"] == verdicts([start()], [finish(DEADLINE + 1)])
    assert status([start()], [finish(DEADLINE + 1)]) == "started"


def test_second_result_is_refused() -> None:
    """Of two results in time the first counts, whatever the second says."""
    drains = [start()], [finish(1_000, "fail")], [finish(2_000, "pass")]

    assert status(*drains) == "fail"
    assert ["refused: already decided"] == verdicts(*drains)


def test_of_two_with_one_number_the_first_stays() -> None:
    """Two ids that are one number, as nobody but a stranger writes them: what decided stays."""
    first = finish(1_000, "fail")
    stranger = replace(finish(1_000, "pass"), entry=f"0{first.entry}", command="other")

    outcome = drained([start()], [first], [stranger])

    assert outcome.exam
    assert outcome.exam.standing.status == "fail"
    assert outcome.exam.standing == stand([record.fact for record in outcome.exam.history])


def test_earlier_result_surfacing_late_corrects() -> None:
    """A result that arrived first but is applied second is the one that counts."""
    drains = [start()], [finish(2_000, "pass")], [finish(1_000, "fail")]

    assert status(*drains) == "fail"
    assert ["corrected"] == verdicts(*drains)


def test_expiry_makes_absent() -> None:
    """When the deadline has passed and nobody reported, the exam is absent."""
    assert status([start()], [expire(DEADLINE + 1)]) == "absent"


def test_expiry_after_result_is_refused() -> None:
    """An expiry finds the exam decided and changes nothing."""
    drains = [start()], [finish(DEADLINE)], [expire(DEADLINE + 1)]

    assert status(*drains) == "pass"
    assert ["refused: already decided"] == verdicts(*drains)


@pytest.mark.parametrize("at_ms", [1, DEADLINE - 1, DEADLINE])
def test_expiry_before_the_time_is_refused(at_ms: int) -> None:
    """A forged expiry that comes before the deadline's millisecond is over does nothing."""
    assert ["refused: not due"] == verdicts([start()], [expire(at_ms)])
    assert status([start()], [expire(at_ms)]) == "started"


@pytest.mark.parametrize("deadline", [0, DEADLINE - 1, DEADLINE + 1])
def test_expiry_of_another_deadline_is_refused(deadline: int) -> None:
    """An expiry that names another deadline does nothing, however late it comes."""
    assert ["refused: other deadline"] == verdicts([start()], [expire(500_000, deadline)])
    assert status([start()], [expire(500_000, deadline)]) == "started"


def test_result_beside_expiry_in_one_drain() -> None:
    """A worker that was away for hours finds result and expiry together: the result counts."""
    assert status([expire(DEADLINE + 1), finish(DEADLINE), start()]) == "pass"


def test_late_result_leaves_absent() -> None:
    """A result that came too late does not undo absent."""
    drains = [start()], [expire(DEADLINE + 1)], [finish(DEADLINE + 2)]

    assert status(*drains) == "absent"
    assert ["refused: late"] == verdicts(*drains)


def test_result_in_time_corrects_absent() -> None:
    """A result in time that surfaces after absent, a dead letter replayed, corrects the record."""
    drains = [start()], [expire(DEADLINE + 1)], [finish(DEADLINE)]

    assert status(*drains) == "pass"
    assert ["corrected"] == verdicts(*drains)


@pytest.mark.parametrize("early", [finish(100), expire(DEADLINE + 1)])
def test_what_overtakes_its_start_waits(early: Fact) -> None:
    """Before anything opened the exam there is no document: what came is kept waiting."""
    outcome = drained([early])

    assert Transition(exam=None, waiting=(early,)) == outcome


def test_waiting_result_counts_once_the_start_is_there() -> None:
    """A result that overtook its start is judged right after it."""
    drains = [finish(100)], [start(200)]

    assert ["applied", "applied"] == verdicts(*drains)
    assert status(*drains) == "pass"


def test_same_command_twice_is_a_duplicate() -> None:
    """A command that its client sent again, as a second entry, is recorded without effect."""
    drains = [start()], [finish(1_000, name="k")], [finish(2_000, name="k")]

    assert ["duplicate"] == verdicts(*drains)
    exam = drained(*drains).exam
    assert exam is not None
    assert exam.standing.decided_by
    assert exam.standing.decided_by.entry == "1000-0"


def test_late_copy_of_a_result_in_time_is_a_duplicate() -> None:
    """A copy that arrives after the deadline is no late result: the first one counted."""
    drains = [start()], [finish(1_000, name="k")], [finish(DEADLINE + 5, name="k")]

    assert ["duplicate"] == verdicts(*drains)


def test_same_entry_twice_is_known() -> None:
    """An entry delivered again is recognised: nothing is added, and its first verdict is said."""
    outcome = drained([start()], [start()])

    assert () == outcome.new
    assert [(start(), Verdict.APPLIED)] == [(r.fact, r.verdict) for r in outcome.known]


def test_same_id_with_other_content_is_refused() -> None:
    """An id that was used for something else is refused, and the first content stands."""
    drains = [start()], [finish(1_000, "fail", name="k")], [finish(2_000, "pass", name="k")]

    assert status(*drains) == "fail"
    assert ["refused: same id, other content"] == verdicts(*drains)


def test_copy_of_the_first_content_is_a_duplicate() -> None:
    """After an id was misused, another copy of its first content is still a mere duplicate."""
    first, misuse = finish(1_000, "fail", name="k"), finish(2_000, "pass", name="k")
    again = finish(3_000, "fail", name="k")

    assert ["duplicate"] == verdicts([start()], [first], [misuse], [again])


def test_start_with_a_results_id_takes_nothing_back() -> None:
    """
    A later start that reuses a result's id does not unmake the result.

    The starts were judged first also in the matter of ids: so the result became the one in
    conflict, the exam was open again, and ended absent though its result had come in time.
    """
    drains = [start()], [finish(1_000, name="k")], [start(2_000, name="k")]

    assert status(*drains, [expire(DEADLINE + 1)]) == "pass"


def test_ids_of_two_sources_are_two_ids() -> None:
    """Two producers that count their commands alike do not get in each other's way."""
    first = finish(1_000, "fail", name="1")
    other = replace(finish(2_000, "fail", name="1"), source="school")

    assert ["refused: already decided"] == verdicts([start()], [first], [other])


def test_clock_decides_and_not_the_id() -> None:
    """An entry id forged into the future puts its command neither late nor behind others."""
    forged = replace(finish(1_000, "fail"), entry="900000-0")

    assert status([start()], [forged], [finish(2_000, "pass")]) == "fail"


def test_history_keeps_the_order_of_application() -> None:
    """The history tells in which order things were done, refusals included."""
    exam = drained([start()], [finish(DEADLINE + 5)], [finish(1_000)], [expire(DEADLINE + 1)]).exam

    assert exam is not None
    assert ["0-0", "120005-0", "1000-0", "120001-0"] == [r.fact.entry for r in exam.history]
    assert ["applied", "refused", "applied", "refused"] == [r.verdict for r in exam.history]


def test_bell_without_mail_changes_nothing() -> None:
    """A bell for an inbox that somebody emptied already leaves the exam as it is."""
    exam = drained([start()]).exam

    assert Transition(exam=exam) == transition("math-7", exam, [])
    assert Transition(exam=None) == transition("math-7", None, [])


def test_words_of_the_status_are_those_of_the_contract() -> None:
    """An exam is started, pass, fail or absent, and nothing else."""
    assert ["started", "pass", "fail", "absent"] == list(Status)
