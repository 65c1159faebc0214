"""
Tally: what workers and the dispatcher count, as fields of one hash in Redis.

Their processes are forked and killed at any time, so none of them counts in its own memory. An
increment goes out in the very transaction that it counts, and so is done as often as that: once.
"""

from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import redis.exceptions
from redis import Redis

from ops import keys

#: Commands that were judged: by type, verdict and reason.
APPLIED = "applied"
#: Time from a command's arrival until its effect was on disk: by type.
LATENCY = "latency"
#: Time from a deadline until the exam was absent on disk.
LATENESS = "lateness"
#: Digest mails: by outcome.
MAILS = "mails"
#: Tasks, and attempts within one, that raised what nobody expected; tasks to be tried again.
FAILURES = "failures"
RETRIES = "retries"
#: Commands that were dispatched another time.
REDELIVERED = "redelivered"

#: Upper bounds, in seconds, of the buckets in which times are counted, and the label of the rest.
BOUNDS_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
ABOVE = "+Inf"
_NAMES = (*map(str, BOUNDS_S), ABOVE)
#: In place of a bucket's bound: the sum of all times, in milliseconds.
SUM_MS = "sum_ms"


@lru_cache(maxsize=1_000)
def field(kind: str, *labels: str) -> str:
    """Name a field; no label of ours holds a colon."""
    return ":".join((kind, *labels))


def timed(kind: str, *labels: str, ms: int) -> dict[str, int]:
    """Say what a time adds: one to its bucket, and itself to the sum; clocks set back add none."""
    bound = _NAMES[bisect_left(BOUNDS_S, ms / 1000)]
    return {field(kind, *labels, bound): 1, field(kind, *labels, SUM_MS): max(0, ms)}


def note(client: Redis, name: str, number: int = 1) -> None:
    """Count what belongs to no transaction, if Redis can be told: work does not wait for it."""
    with suppress(redis.exceptions.RedisError):
        client.hincrby(keys.METRICS, name, number)


def read(fields: Mapping[bytes, bytes], kind: str) -> dict[tuple[str, ...], int]:
    """Take one kind out of the hash: labels to number. What is no number of ours is left out."""
    found: dict[tuple[str, ...], int] = {}
    for name, number in fields.items():
        first, *labels = name.decode(errors="replace").split(":")
        if first == kind and _is_number(number):
            found[tuple(labels)] = int(number)
    return found


def _is_number(text: Any) -> bool:
    return isinstance(text, bytes) and text.isdigit()
