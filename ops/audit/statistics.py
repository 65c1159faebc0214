"""Statistics: how many exams ended how and when, and how late `absent` was."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ops.audit.line import Line, moment_ms

#: Upper ends of the buckets of lateness, in milliseconds: eight to each power of ten.
BOUNDS_MS = tuple(round(10 ** (n / 8), 3) for n in range(57))
#: Minutes of the timeline that are kept apart; a longer log is shown by hours or days.
MOST_MINUTES = 20_000
#: Marks on the timeline that are kept.
MOST_MARKS = 500
STATUSES = ("started", "pass", "fail", "absent")


@dataclass(slots=True)
class Statistics:
    """
    Counters of the log.

    Attributes:
        minutes: Beginning of a minute's timestamp -> status -> how many exams came to it.
        late: How many `absent` fell into each bucket of `BOUNDS_MS`, and beyond.
        latest_ms: The latest one.
        corrected: How many had been absent, and were not in the end.
        marks: What happened to parts and to the world: time and text.
    """

    minutes: dict[str, dict[str, int]] = field(default_factory=dict)
    late: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    latest_ms: int = 0
    corrected: int = 0
    marks: list[tuple[str, str]] = field(default_factory=list)
    handlers: dict[str, Callable[[Line], None]] = field(init=False)

    def __post_init__(self) -> None:
        self.handlers = {
            "applied": self._applied,
            "corrected": self._corrected,
            "part_exited": self._mark,
            "unavailable": self._mark,
            "up_ready": self._mark,
        }

    def exams(self) -> dict[str, int]:
        """Count exams by the status that they came to."""
        total = dict.fromkeys(STATUSES, 0)
        for counts in self.minutes.values():
            for status, count in counts.items():
                total[status] = total.get(status, 0) + count
        total["absent"] -= self.corrected
        return total

    def late_ms(self, share: float) -> float | None:
        """Lateness that *share* of all `absent` keep, as far as the buckets tell; None without."""
        wanted, seen = share * sum(self.late), 0
        for bound, count in zip((*BOUNDS_MS, float(self.latest_ms)), self.late, strict=True):
            seen += count
            if count and seen >= wanted:
                return min(bound, float(self.latest_ms))
        return None

    def timeline(self) -> Iterator[tuple[int, dict[str, int]]]:
        """Yield each minute's beginning in milliseconds since 1970, and its counts, in order."""
        for minute in sorted(self.minutes):
            at_ms = moment_ms(f"{minute}:00Z")
            if at_ms is not None:
                yield at_ms, self.minutes[minute]

    def _applied(self, line: Line) -> None:
        if line.redelivered:
            return
        match line.type:
            case "exam.start":
                status = "started"
            case "exam.finish":
                status = str(line.value)
            case _:
                status = "absent"
                self._note_late(line)
        self._count(line, status)

    def _corrected(self, line: Line) -> None:
        """Count a result that came in time and was applied after the exam had become absent."""
        if line.type == "exam.finish" and not line.redelivered:
            self.corrected += 1
            self._count(line, str(line.value))

    def _count(self, line: Line, status: str) -> None:
        minute = self.minutes.get(line.ts[:16])
        if minute is None:
            shorter = line.ts[:14] + "00"
            key = line.ts[:16] if len(self.minutes) < MOST_MINUTES else shorter
            minute = self.minutes.setdefault(key, {})
        minute[status] = minute.get(status, 0) + 1

    def _note_late(self, line: Line) -> None:
        at_ms = moment_ms(line.ts)
        if at_ms is None or not isinstance(line.value, int):
            return
        late_ms = max(0, at_ms - line.value)
        self.latest_ms = max(self.latest_ms, late_ms)
        self.late[bisect_left(BOUNDS_MS, late_ms)] += 1

    def _mark(self, line: Line) -> None:
        if len(self.marks) < MOST_MARKS:
            what = f" {line.what}" if line.what else ""
            self.marks.append((line.ts, f"{line.part}: {line.event}{what}"))
