"""Plan: what the candidates and producers of a run do. Pure: the seed decides everything."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

#: Seconds that an exam of a run lasts.
DURATIONS = (2, 3, 4, 5, 6)
#: Seconds around the deadline in which most results come.
EDGE_S = 0.3
#: Commands that an exam of this mix sends on average: how many exams a rate of commands means.
COMMANDS_PER_EXAM = 2.1
#: One command in so many is an echo.
ECHO_SHARE = 25

#: Entries that are nobody's command.
GARBAGE: tuple[dict[str, str], ...] = (
    {"type": "exam.start"},
    {"type": "exam.start", "data": "{"},
    {"type": "exam.start", "data": '{"pk":"../../etc/passwd"}'},
    {"type": "exam.finish", "data": '{"pk":"x","status":"maybe"}'},
    {"type": "no.such.type", "data": "{}"},
    {"\x00": "\x1b[2J"},
    {"type": "echo", "data": '{"text":"' + "x" * 20_000 + '"}'},
)


class Door(StrEnum):
    """How a command gets in."""

    HTTP = "http"
    STREAM = "stream"


class After(StrEnum):
    """What a step waits for."""

    PREVIOUS = "previous"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One command of a script.

    Attributes:
        value: Duration in seconds, ``pass`` or ``fail``; None for an expiry of the exam's own
            deadline.
        after: What *offset_s* counts from.
        id: The producer's own id; only the stream takes one.
    """

    type: str
    value: int | str | None = None
    door: Door
    after: After = After.PREVIOUS
    offset_s: float = 0
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens to one exam, in order."""

    pk: str
    steps: tuple[Step, ...] = field(default=())


def exam(seed: int, number: int) -> Script:
    """Write the script of the exam with this number."""
    rng = Random(f"exam {seed} {number}")  # noqa: S311 - a plan, not a secret
    pk = f"x{seed}-{number:06d}"
    [write] = rng.choices(list(KINDS), weights=list(KINDS.values()))
    return Script(pk=pk, steps=tuple(write(rng, pk)))


def echo(seed: int, number: int) -> tuple[Door, str, float]:
    """Choose the door, text and delay in seconds of the echo with this number."""
    rng = Random(f"echo {seed} {number}")  # noqa: S311
    return _door(rng), f"echo {seed}-{number}", rng.choice((0, 0.5, 2.0))


def garbage(seed: int, number: int) -> dict[str, str]:
    """Choose an entry that is nobody's command."""
    return Random(f"garbage {seed} {number}").choice(GARBAGE)  # noqa: S311


def _alone(rng: Random, _pk: str) -> list[Step]:
    return [_start(rng)]


def _early(rng: Random, _pk: str) -> list[Step]:
    return [_start(rng), _finish(rng, offset_s=rng.uniform(0, 1.5))]


def _at_the_edge(rng: Random, _pk: str) -> list[Step]:
    return [_start(rng), _edge(rng)]


def _rivals(rng: Random, _pk: str) -> list[Step]:
    """Two results, of which the first to come in counts."""
    return [_start(rng), _edge(rng), _edge(rng, late_s=0.02)]


def _sent_twice(rng: Random, pk: str) -> list[Step]:
    """One command in two entries, as a client leaves it that sends again after a lost answer."""
    step = _finish(rng, door=Door.STREAM, id=f"{pk}-again", offset_s=rng.uniform(0, 1))
    return [_start(rng), step, step]


def _conflict(rng: Random, pk: str) -> list[Step]:
    """One id, two contents."""
    first = _finish(rng, value="pass", door=Door.STREAM, id=f"{pk}-c", offset_s=0.1)
    second = _finish(rng, value="fail", door=Door.STREAM, id=f"{pk}-c")
    return [_start(rng), first, second]


def _result_first(rng: Random, _pk: str) -> list[Step]:
    return [_finish(rng, door=Door.STREAM), _start(rng)]


def _started_twice(rng: Random, _pk: str) -> list[Step]:
    return [_start(rng), _start(rng), _edge(rng)]


def _forged_expiry(rng: Random, _pk: str) -> list[Step]:
    """A producer who is in a hurry says that the time is over."""
    return [_start(rng), Step(type="exam.expire", door=Door.STREAM), _edge(rng)]


#: What candidates and producers do, and how often.
KINDS: dict[Callable[[Random, str], list[Step]], int] = {
    _alone: 25,
    _early: 20,
    _at_the_edge: 25,
    _rivals: 8,
    _sent_twice: 6,
    _conflict: 4,
    _result_first: 4,
    _started_twice: 4,
    _forged_expiry: 4,
}


def _start(rng: Random) -> Step:
    return Step(type="exam.start", value=rng.choice(DURATIONS), door=_door(rng))


def _finish(
    rng: Random,
    *,
    value: str | None = None,
    door: Door | None = None,
    id: str | None = None,  # noqa: A002 - the field's name
    offset_s: float = 0,
) -> Step:
    result = value or rng.choice(("pass", "fail"))
    way = door or _door(rng)
    return Step(type="exam.finish", value=result, door=way, id=id, offset_s=offset_s)


def _edge(rng: Random, *, late_s: float = 0) -> Step:
    return Step(
        type="exam.finish",
        value=rng.choice(("pass", "fail")),
        door=_door(rng),
        after=After.DEADLINE,
        offset_s=rng.uniform(-EDGE_S, EDGE_S) + late_s,
    )


def _door(rng: Random) -> Door:
    return rng.choice((Door.HTTP, Door.STREAM))
