"""Starts that were taken together: their lines say what lines of their own would."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from ingest import accepted
from ops.audit.wording import singles
from ops.trace import Trace


@dataclass
class Start:
    """A start that was taken."""

    own: Trace
    about: Mapping[str, str]


def starts(count: int, **more: str) -> list[tuple[accepted.Start, str]]:
    """Starts with their entries."""
    named = [f"exam-{number}" for number in range(count)]
    return [
        (
            Start(
                Trace(trace_id=f"{number:032}", span_id="1" * 16),
                {"command_id": f"{pk}.id", "pk": pk, **more},
            ),
            f"1763822000123-{number}",
        )
        for number, pk in enumerate(named)
    ]


def told(some: list[tuple[accepted.Start, str]]) -> list[Any]:
    """The lines about them."""
    with capture_logs(processors=[merge_contextvars]) as lines:
        accepted.tell(some)
    return lines


@pytest.mark.parametrize("count", [1, accepted.FEWEST - 1, accepted.FEWEST, 100])
def test_shared_lines_say_the_same(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few have a line each, many share some; those of each key have their own."""
    some = [*starts(count), *starts(2, key="k1"), *starts(count, key="k2")]
    lines, is_shared = told(some), count >= accepted.FEWEST
    monkeypatch.setattr(accepted, "FEWEST", 1_000)
    each = told(some)

    assert len(each) == 2 * count + 2
    assert (len(lines) < len(each)) == is_shared
    taken = [{"log_level": "info", **one} for line in lines for one in singles(line)]
    assert sorted(map(str, map(sorted, map(dict.items, taken)))) == sorted(
        map(str, map(sorted, map(dict.items, each)))
    )
