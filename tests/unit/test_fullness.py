"""The lines that say that reading pauses: for a pause that lasts, not for each moment."""

import pytest
import structlog

from dispatcher import report
from dispatcher.report import PAUSED_S, Fullness


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ([(0, True), (0.5, False), (0.6, True), (1.4, True)], []),
        ([(0, True), (PAUSED_S, True), (2, True)], ["reading_paused"]),
        ([(0, True), (1, True), (2, False), (3, False)], ["reading_paused", "reading_resumed"]),
    ],
)
def test_fullness(
    looks: list[tuple[float, bool]], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what has lasted is said, once each way."""
    fullness = Fullness()
    with structlog.testing.capture_logs() as lines:
        for now, is_full in looks:
            monkeypatch.setattr(report, "monotonic", lambda now=now: now)
            fullness.note(is_full=is_full)

    assert said == [line["event"] for line in lines]
