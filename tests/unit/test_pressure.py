"""What is taken under which load."""

from typing import Any

import pytest

from ingest.pressure import AT_ONCE, NO_CROWD, Kind, Limits, Load, Pace, refusal

LIMITS = Limits(waiting=100, waited_s=10, memory=0.7, free_bytes=300 << 20)
NOTHING = Load(free_bytes=1 << 40)
#: What each kind is taken at, just so, and what it is not taken at any more.
EDGES: list[tuple[Kind, str, Any, Any]] = [
    (Kind.BULK, "waiting", 50, 51),
    (Kind.START, "waiting", 100, 101),
    (Kind.RESULT, "waiting", 300, 301),
    (Kind.BULK, "waited_s", 5, 5.1),
    (Kind.START, "waited_s", 10, 10.1),
    (Kind.BULK, "unread_s", 5, 5.1),
    (Kind.START, "unread_s", 10, 10.1),
    (Kind.RESULT, "unread_s", 30, 30.1),
    (Kind.BULK, "memory", 0.7, 0.71),
    (Kind.START, "memory", 0.7, 0.71),
    (Kind.RESULT, "memory", 0.89, 0.91),
    (Kind.BULK, "free_bytes", 300 << 20, 299 << 20),
    (Kind.START, "free_bytes", 300 << 20, 299 << 20),
    (Kind.RESULT, "free_bytes", 100 << 20, 99 << 20),
]


@pytest.mark.parametrize(("kind", "what", "most", "more"), EDGES)
def test_edges(kind: Kind, what: str, most: Any, more: Any) -> None:
    """Each kind is taken up to its limit, and not beyond it; the refusal says what was seen."""
    assert refusal(Load(**{what: most}), LIMITS, kind) is None
    assert refusal(Load(**{what: more}), LIMITS, kind)


@pytest.mark.parametrize("kind", Kind)
def test_nothing_to_do(kind: Kind) -> None:
    """An idle system takes everything, also where the disk does not say what it has."""
    assert refusal(NOTHING, LIMITS, kind) is None
    assert refusal(Load(), LIMITS, kind) is None


def test_results_are_taken_longest() -> None:
    """Whatever is full: a result is taken wherever a start is, and a start wherever a body is."""
    for _, what, most, more in EDGES:
        for value in (most, more):
            said = [refusal(Load(**{what: value}), LIMITS, kind) is None for kind in Kind]
            assert said == sorted(said)


@pytest.mark.parametrize(
    ("kind", "in_line", "pace", "is_taken"),
    [
        (Kind.START, 2_000, 200, True),
        (Kind.START, 2_001, 200, False),
        (Kind.START, 2_001, None, True),
        (Kind.START, NO_CROWD, 1, True),
        (Kind.BULK, NO_CROWD // 2, 1, True),
        (Kind.BULK, NO_CROWD // 2 + 1, 1, False),
        (Kind.RESULT, 90_000, 1, True),
    ],
)
def test_what_would_wait(kind: Kind, in_line: int, pace: float | None, is_taken: bool) -> None:
    """
    A crowd that would have to wait too long is not let in, before anyone has waited.

    Results do not stand in that line: they go first.
    """
    limits = Limits(waiting=100_000, waited_s=10, memory=0.7, free_bytes=0)

    said = refusal(Load(waiting=in_line, in_line=in_line, pace=pace), limits, kind)

    assert (said is None) is is_taken
    assert is_taken or "would wait" in str(said)


def test_pace() -> None:
    """The pace is that of the last looks, and counts what may be read the next moment."""
    pace = Pace()
    seen = [pace.note(second, gone=100 * second, in_line=5_000) for second in range(30)]

    assert seen[0] is None
    assert 100 + AT_ONCE == seen[1]
    assert pytest.approx(100 + AT_ONCE / 9) == seen[-1]


def test_pace_of_a_reader_in_leaps() -> None:
    """It is never found to be slower than it is, though nothing is read for seconds."""
    pace, per_s = Pace(), 40
    for tick in range(100):
        now_s = tick / 2
        read = int(now_s * per_s) // AT_ONCE * AT_ONCE
        seen = pace.note(now_s, gone=read, in_line=5_000)
        assert seen is None or seen >= per_s


@pytest.mark.parametrize(("read", "unread"), [(None, 5_000), (500, AT_ONCE - 1), (10, 5_000)])
def test_pace_not_known(read: int | None, unread: int) -> None:
    """Where nobody waits, Redis cannot tell, or the stream is a new one, it begins anew."""
    pace = Pace()
    pace.note(0, gone=100, in_line=5_000)

    assert pace.note(1, gone=read, in_line=unread) is None
    assert pace.note(2, gone=1_000, in_line=5_000) is None
