"""Waiting: for a fact, never for luck."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds between two looks, at least; a look that takes longer is followed by as long a pause, so
#: that whoever waits takes at most half a core from those it waits for.
LOOK_S = 0.01


def wait_until(fact: Callable[[], T], *, timeout_s: float = 30, saying: str) -> T:
    """
    Return the first true value of *fact*.

    The time is for a busy machine; how fast something is gets measured elsewhere.

    Raises:
        AssertionError: It was not true within *timeout_s* seconds; says what was waited for.
    """
    looked = time.monotonic()
    until = looked + timeout_s
    while not (value := fact()):
        now = time.monotonic()
        if now > until:
            raise AssertionError(f"not within {timeout_s} s: {saying}; last seen: {value!r}")
        time.sleep(max(LOOK_S, now - looked))
        looked = time.monotonic()
    return value
