"""Slots: time cut into equal pieces."""

import pickle
from datetime import UTC, datetime, timedelta

import pytest

from tasks.slots import EverySlot, slot_of


def moment(seconds: float) -> datetime:
    """A moment after 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def schedule(every_s: int, *, now_s: float) -> EverySlot:
    """A schedule whose beat's clock stands at *now_s*."""
    slots = EverySlot(every_s)
    slots.nowfun = lambda: moment(now_s)
    return slots


@pytest.mark.parametrize(
    ("now_s", "slot_s"),
    [(600.0, 600), (600.2, 600), (898.9, 600), (599.1, 600), (598.9, 300), (0.0, 0)],
)
def test_slot_that_a_task_is_for(now_s: float, slot_s: int) -> None:
    """A beat whose clock is a little ahead means the slot about to begin; a late task its own."""
    assert slot_s == slot_of(now_s, every_s=300)


@pytest.mark.parametrize(
    ("last_s", "now_s", "is_due", "next_s"),
    [
        (599.0, 600.0, True, 300.0),
        (599.0, 599.5, False, 0.5),
        (600.0, 600.0, False, 300.0),
        (600.0, 899.0, False, 1.0),
        (600.0, 900.5, True, 299.5),
        (10.0, 3_000.0, True, 300.0),
    ],
)
def test_due_once_a_boundary_was_passed(
    last_s: float, now_s: float, is_due: bool, next_s: float
) -> None:
    """Due is a slot that began since the last run; the next look is at the next boundary."""
    state = schedule(300, now_s=now_s).is_due(moment(last_s))

    assert (is_due, next_s) == (state.is_due, round(state.next, 6))


def test_two_beats_fire_for_the_same_moment() -> None:
    """Beats that were started at different times are due at the same boundary."""
    states = [schedule(300, now_s=900.0).is_due(moment(start_s)) for start_s in (601.0, 877.3)]

    assert [True, True] == [state.is_due for state in states]


@pytest.mark.parametrize(("last_s", "now_s", "left_s"), [(600, 650, 250), (599, 600, 0)])
def test_time_left(last_s: int, now_s: int, left_s: int) -> None:
    """Celery's own tools are told how long it is until the next digest."""
    left = schedule(300, now_s=now_s).remaining_estimate(moment(last_s))

    assert timedelta(seconds=left_s) == left


def test_another_process_has_the_same_schedule() -> None:
    """Celery may send or compare a schedule: it stays what it was."""
    slots = EverySlot(300)

    assert slots == pickle.loads(pickle.dumps(slots))
    assert len({slots, EverySlot(300), EverySlot(60)}) == 2
    assert slots != 300
