"""Slots: time cut into equal pieces, the same for every beat and worker."""

from datetime import datetime, timedelta

from celery.schedules import BaseSchedule, schedstate

#: Seconds that a beat's clock may be ahead of Redis': its task means the slot about to begin.
AHEAD_S = 1.0


def slot_of(now_s: float, *, every_s: int) -> int:
    """Start of the slot that a task run at *now_s* is for, in seconds since 1970."""
    ahead_s = min(AHEAD_S, every_s / 4)
    return int((now_s + ahead_s) // every_s) * every_s


class EverySlot(BaseSchedule):
    """Due at each whole multiple of *every_s*, so that two beats fire for the same moment."""

    def __init__(self, every_s: int) -> None:
        super().__init__()
        self.every_s = every_s

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Whether a boundary was passed since *last_run_at*, and seconds until the next."""
        now_s = self.now().timestamp()
        is_due = now_s // self.every_s > last_run_at.timestamp() // self.every_s
        return schedstate(is_due=is_due, next=self.every_s - now_s % self.every_s)

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Time until `is_due` says yes."""
        state = self.is_due(last_run_at)
        return timedelta(seconds=0 if state.is_due else state.next)

    def __reduce__(self) -> tuple[type["EverySlot"], tuple[int]]:
        return type(self), (self.every_s,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EverySlot) and other.every_s == self.every_s

    def __hash__(self) -> int:
        return hash(self.every_s)

    def __repr__(self) -> str:
        return f"<every {self.every_s} s>"
