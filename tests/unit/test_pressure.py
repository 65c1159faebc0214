"""What is taken under which load."""

from typing import Any

import pytest

from ingest.pressure import Kind, Limits, Load, refusal

LIMITS = Limits(waiting=100, waited_s=10, memory=0.7, free_bytes=300 << 20)
NOTHING = Load(free_bytes=1 << 40)
#: What each kind is taken at, just so, and what it is not taken at any more.
EDGES: list[tuple[Kind, str, Any, Any]] = [
    (Kind.BULK, "waiting", 50, 51),
    (Kind.START, "waiting", 100, 101),
    (Kind.RESULT, "waiting", 300, 301),
    (Kind.BULK, "waited_s", 5, 5.1),
    (Kind.START, "waited_s", 10, 10.1),
    (Kind.RESULT, "waited_s", 30, 30.1),
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
