"""The line before the exam workers: who stands where, and that nobody is left out."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.line import MOST_HELD, Held, Line
from dispatcher.report import Read
from filestore.fact import Type
from ingest.commands import Command, ExamStart
from tasks.inbox import Letter

#: Who comes: number of the exam, and what is to be done with it.
COMING = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(Type)), max_size=40)


def held(number: int, pk: str, kind: Type = Type.START) -> Held:
    """Make the command of an entry."""
    entry = f"{number}-0"
    letter = Letter(pk=pk, entry=entry, command=entry, source=None, type=kind, value=1)
    read = Read(entry, Command(data=ExamStart(pk=pk)))
    return Held(read=read, letter=letter, redelivered=False, since_s=float(number))


def entries(taken: list[Held]) -> list[str]:
    """Name what was taken."""
    return [one.read.entry for one in taken]


def test_order() -> None:
    """Ends before starts, each in the order in which they came; an exam is taken as a whole."""
    line = Line()
    for number, (pk, kind) in enumerate(
        [
            ("a", Type.START),
            ("b", Type.START),
            ("c", Type.EXPIRE),
            ("b", Type.FINISH),
            ("b", Type.START),
            ("a", Type.START),
        ]
    ):
        line.add(held(number, pk, kind))
    assert 9.0 == line.waited_s(9.0)
    assert 6 == len(line) == MOST_HELD - line.room

    assert ["2-0", "1-0", "3-0", "4-0"] == entries(line.take(2))
    assert ["0-0", "5-0"] == entries(line.take(2))
    assert [] == line.take(2)
    assert 0.0 == line.waited_s(9.0)


def test_twice_is_once() -> None:
    """An entry that is read again while it stands there stays where it is."""
    line = Line()
    line.add(held(1, "a"))
    line.add(held(2, "b"))
    line.add(held(1, "a"))

    assert "1-0" in line
    assert ["1-0", "2-0"] == entries(line.take(5))
    assert "1-0" not in line
    line.add(held(1, "a"))
    assert ["1-0"] == entries(line.take(5))


@given(COMING, st.integers(1, 4))
def test_nobody_is_left_out(coming: list[tuple[int, Type]], most: int) -> None:
    """Whoever comes is taken once; those of one exam together, in the order of the stream."""
    line = Line()
    for number, (exam, kind) in enumerate(coming):
        line.add(held(number, f"e{exam}", kind))
    rounds = []
    while line:
        rounds.append(line.take(most))

    taken = [one for some in rounds for one in some]
    assert sorted(entries(taken)) == sorted(f"{number}-0" for number in range(len(coming)))
    assert all(1 <= len({one.letter.pk for one in some}) <= most for some in rounds)
    for exam in range(6):
        own = [int(one.read.entry[:-2]) for one in taken if one.letter.pk == f"e{exam}"]
        assert own == sorted(own)
    ending = {f"e{exam}" for exam, kind in coming if kind is not Type.START}
    order = list(dict.fromkeys(one.letter.pk for one in taken))
    assert ending == set(order[: len(ending)])
