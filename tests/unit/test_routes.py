"""Where commands go: the table, the letters, the bells."""

import pytest

from dispatcher.bell import trace_for
from dispatcher.routes import MOST_PKS, ROUTES, SPREAD, Route, bells, letter
from filestore.fact import Type
from ingest.commands import TYPES, Command, Data, Echo, ExamExpire, ExamFinish, ExamStart
from ops import trace
from ops.trace import Trace
from tasks.app import app
from tasks.inbox import Letter


def written(data: Data, *, name: str | None = None, source: str | None = None) -> Letter | None:
    """The letter of a command that lies in the stream as entry 5-0."""
    return letter(Command(data=data, id=name, source=source), entry="5-0", duration_s=120)


def names(count: int) -> list[str]:
    """That many exams."""
    return [f"exam-{number}" for number in range(count)]


def test_every_command_has_a_route() -> None:
    """No command of the contract is without a way to go, and no route is without a command."""
    assert set(TYPES) == set(ROUTES)


def test_exams_and_echoes_have_queues_of_their_own() -> None:
    """Slow work never holds up exam work: it goes to another queue."""
    queues = {name: route.queue for name, route in ROUTES.items()}

    assert queues == {
        "exam.start": "exam",
        "exam.finish": "exam",
        "exam.expire": "exam",
        "echo": "slow",
    }


@pytest.mark.parametrize("route", list(ROUTES.values()), ids=list(ROUTES))
def test_routes_lead_somewhere(route: Route) -> None:
    """Each route names a task that the workers know, and a queue that one of them serves."""
    app.loader.import_default_modules()

    assert route.task in app.tasks
    assert route.queue in {queue.name for queue in app.conf.task_queues}


@pytest.mark.parametrize(
    ("data", "kind", "value"),
    [
        (ExamStart(pk="math-7", duration=5), Type.START, 5),
        (ExamStart(pk="math-7"), Type.START, 120),
        (ExamFinish(pk="math-7", status="fail"), Type.FINISH, "fail"),
        (ExamExpire(pk="math-7", deadline=99), Type.EXPIRE, 99),
    ],
)
def test_letter_says_what_the_command_said(data: Data, kind: Type, value: int | str) -> None:
    """A letter has the exam, the type and the value; a start without duration gets the default."""
    made = written(data)

    assert made is not None
    assert ("math-7", kind, value) == (made.pk, made.type, made.value)


def test_letter_carries_the_producers_id() -> None:
    """The producer's id and name travel with the command."""
    made = written(ExamStart(pk="math-7"), name="k-1", source="school")

    assert made is not None
    assert ("5-0", "k-1", "school") == (made.entry, made.command, made.source)


def test_entry_stands_in_for_a_missing_id() -> None:
    """A command without an id of its own is known by its entry's."""
    made = written(ExamStart(pk="math-7"))

    assert made is not None
    assert ("5-0", "5-0", None) == (made.entry, made.command, made.source)


def test_letter_carries_the_producers_trace() -> None:
    """The trace that came with a command travels with it."""
    given = trace.new()

    made = letter(Command(data=ExamStart(pk="a"), trace=given), entry="5-0", duration_s=120)

    assert made is not None
    assert given == made.trace


def of(pk: str, entry: str, traced: Trace | None = None) -> Letter:
    """A letter for that exam."""
    made = letter(Command(data=ExamStart(pk=pk), trace=traced), entry=entry, duration_s=120)
    assert made is not None
    return made


def test_bell_for_one_command_goes_on_with_its_trace() -> None:
    """A message for one command is a step of its trace, its own or its entry's."""
    given = trace.new()
    letters = [of("a", "5-0", given), of("b", "6-0")]

    a, b = trace_for(["a"], letters), trace_for(["b"], letters)

    assert [given.trace_id, trace.derived("6-0").trace_id] == [a.trace_id, b.trace_id]
    assert given.span_id != a.span_id


@pytest.mark.parametrize("pks", [["a"], ["b", "c"]])
def test_bell_for_many_begins_a_trace(pks: list[str]) -> None:
    """A message for several commands, of one exam or of more, belongs to none of their traces."""
    letters = [of("a", "5-0"), of("a", "6-0"), of("b", "7-0"), of("c", "8-0")]

    rung = trace_for(pks, letters)

    assert rung.trace_id not in {trace.derived(one.entry).trace_id for one in letters}


def test_echo_is_no_letter() -> None:
    """An echo is no exam's: it goes to no inbox."""
    assert written(Echo(text="hello")) is None


def test_no_mail_rings_no_bell() -> None:
    """Nothing to do costs nothing."""
    assert bells([]) == []


@pytest.mark.parametrize("count", [1, SPREAD])
def test_few_exams_get_a_bell_each(count: int) -> None:
    """Under light load each exam has its own bell, so that workers share them."""
    assert [[name] for name in names(count)] == bells(names(count))


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (5, [3, 2]),
        (8, [4, 4]),
        (100, [50, 50]),
        (SPREAD * MOST_PKS, [128, 128]),
        (SPREAD * MOST_PKS + 1, [128, 128, 1]),
    ],
)
def test_backlog_rings_for_many(count: int, sizes: list[int]) -> None:
    """The more exams wait, the more of them share a bell, up to the most."""
    assert sizes == [len(bell) for bell in bells(names(count))]


def test_each_exam_is_named_once_and_in_order() -> None:
    """However many commands an exam has, one bell names it, in the order of first commands."""
    rung = bells(["b", "a", "b", "c", "a", "b"])

    assert [pk for bell in rung for pk in bell] == ["b", "a", "c"]
