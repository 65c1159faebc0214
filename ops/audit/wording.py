"""Wording: values of log lines, moments and spans in words. Pure, and believes no line."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from filestore.fact import LAST_MS
from ops.glossary import KEYS
from ops.many import LISTS, MANY, each_of

#: A parsed line of a log. Anybody may have written it: no key must be there, or of any type.
Line: TypeAlias = Mapping[str, Any]

#: Characters of a value that are shown.
SHOWN = 300
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def singles(line: Line) -> Iterator[Line]:
    """Take a line about many commands as a line about each of them; any other as it is."""
    event = MANY.get(str(line.get("event")))  # type: ignore[call-overload]
    if event is None:
        yield line
        return
    rest = {key: value for key, value in line.items() if key in KEYS and key not in LISTS}
    for one in each_of(line):
        yield {**rest, "event": event, **one}


def text(line: Line, key: str) -> str:
    """Take a value as a text, cut to what can be read; empty when it is not there."""
    value = line.get(key)
    if value is None:
        return ""
    said = value if isinstance(value, str) else json.dumps(value, default=str)
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}..."


def number(line: Line, key: str) -> int | None:
    """Take a whole number that can be a time in milliseconds; None for all else."""
    value = line.get(key)
    return value if type(value) is int and 0 <= value <= LAST_MS else None


def ts_ms(line: Line) -> int | None:
    """When a line was written; None when it does not say."""
    try:
        moment = datetime.fromisoformat(str(line.get("ts")))
        return (moment.astimezone(UTC) - _EPOCH) // _MS
    except (ValueError, OverflowError):
        return None


def day(ms: int) -> str:
    """The date in UTC: ``2026-11-24``."""
    return _at(ms).strftime("%Y-%m-%d")


def clock(ms: int | None, *, on_ms: int) -> str:
    """Say a moment in UTC as it is said on the day of *on_ms*: the date only if it is another."""
    if ms is None:
        return "a moment that is not known"
    time = _at(ms).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return time[11:] if day(ms) == day(on_ms) else time


def span(ms: int) -> str:
    """Say how long: ``4 ms``, ``50.2 s``, ``3 minutes 13 s``, ``2 hours 5 minutes``, ``3 days``."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 100_000:
        return f"{ms / 1000:.1f} s"
    seconds = ms // 1000
    for unit_s, unit, rest_s, rest in (
        (86_400, "day", 3600, "hour"),
        (3600, "hour", 60, "minute"),
        (60, "minute", 1, "s"),
    ):
        if seconds >= unit_s:
            whole, left = divmod(seconds, unit_s)
            return " ".join([_many(whole, unit), *_if_any(left // rest_s, rest)])
    raise AssertionError(ms)


def lead(at_ms: int | None, deadline_ms: int | None) -> str:
    """Say where a moment lies: ``50.2 s before the deadline``."""
    if at_ms is None or deadline_ms is None:
        return "and no line tells its deadline"
    if at_ms == deadline_ms:
        return "in the very millisecond of the deadline"
    side = "before" if at_ms < deadline_ms else "after"
    return f"{span(abs(deadline_ms - at_ms))} {side} the deadline"


def count(number_: int, noun: str) -> str:
    """Say how many: ``1 command``, ``2,000 commands``."""
    return f"{number_:,} {noun}{'' if number_ == 1 else 's'}"


def _at(ms: int) -> datetime:
    return _EPOCH + ms * _MS


def _many(whole: int, unit: str) -> str:
    return f"{whole} {unit}" if unit == "s" else count(whole, unit)


def _if_any(whole: int, unit: str) -> list[str]:
    return [_many(whole, unit)] if whole else []
