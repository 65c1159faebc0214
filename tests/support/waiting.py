"""Waiting: for a fact, never for luck."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds between two looks.
LOOK_S = 0.01


def wait_until(fact: Callable[[], T], *, timeout_s: float = 10, saying: str) -> T:
    """
    Return the first true value of *fact*.

    Raises:
        AssertionError: It was not true within *timeout_s* seconds; says what was waited for.
    """
    until = time.monotonic() + timeout_s
    while not (value := fact()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {timeout_s} s: {saying}; last seen: {value!r}")
        time.sleep(LOOK_S)
    return value
