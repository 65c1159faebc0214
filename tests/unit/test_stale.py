"""When an entry that nobody acknowledged is taken up again."""

import pytest

from dispatcher.stream import IDLE_MS, LONGEST_IDLE_MS, is_stale


@pytest.mark.parametrize(
    ("deliveries", "idle_ms"),
    [(1, 5_000), (2, 10_000), (3, 20_000), (4, 40_000), (5, 60_000), (6, 60_000), (10**6, 60_000)],
)
def test_idle_time_doubles(deliveries: int, idle_ms: int) -> None:
    """Twice as long after each delivery, up to a minute: poison does not keep everyone busy."""
    assert [False, True] == [is_stale(idle, deliveries) for idle in (idle_ms - 1, idle_ms)]


def test_bounds_are_those_of_the_first_and_longest() -> None:
    """What was delivered once waits shortest, and nothing waits longer than the longest."""
    assert is_stale(IDLE_MS, 1)
    assert is_stale(LONGEST_IDLE_MS, 2**63 - 1)


def test_count_that_an_operator_reset() -> None:
    """An entry claimed by hand with ``RETRYCOUNT 0`` counts as delivered once; no crash."""
    assert [False, True] == [is_stale(idle, 0) for idle in (IDLE_MS - 1, IDLE_MS)]
