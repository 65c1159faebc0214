"""The design, simulated: any order of steps, kills, pauses and lost bells ends right."""

import os

import pytest
from support.simulated import Broken
from support.simulation import play

#: Histories of one run; `-e simulation` plays a hundred thousand.
HISTORIES = int(os.environ.get("SIMULATED_HISTORIES", "2000"))
#: Histories until a broken rule must have been caught.
MOST = 3_000


def test_every_history_ends_right() -> None:
    """No history loses, doubles, comes early, or shows a wrong absent for a moment."""
    kills = 0
    for seed in range(HISTORIES):
        history = play(seed)
        kills += history.kills
        assert [] == history.violations, f"seed {seed}"
    assert kills > HISTORIES


def test_a_seed_is_a_history() -> None:
    """The same seed is the same history, so that a failure can be looked into."""
    assert play(7) == play(7)


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        ("ack_before_save", {"lost", "wrong end", "not at its end"}),
        ("group_from_end", {"lost", "wrong end", "false absent"}),
        ("trims_unread", {"lost", "wrong end", "false absent"}),
        ("pops", {"lost", "wrong end", "false absent", "not at its end"}),
        ("no_watermark", {"false absent", "corrected"}),
        ("no_inbox_order", {"false absent", "corrected"}),
        ("no_lock", {"lost", "wrong end", "false absent", "corrected"}),
        ("no_fence", {"false absent", "corrected", "lost"}),
        ("no_recovery_first", {"false absent", "corrected"}),
    ],
)
def test_a_broken_rule_is_caught(rule: str, kinds: set[str]) -> None:
    """Without any one of its rules the design breaks its promise, and it is seen."""
    broken = Broken(**{rule: True})
    histories = (play(seed, broken) for seed in range(MOST))
    found = next((history.violations for history in histories if history.violations), [])

    assert kinds & {violation.partition(":")[0] for violation in found}
