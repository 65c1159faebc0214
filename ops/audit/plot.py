"""Plot: where bars, lines and words of a picture go. Pure; the page's template draws them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, log10

from ops.audit.report_data import Bucket, Lateness, Mark, Report

#: Units: room at the left for the numbers, above for the marks and below for the words.
LEFT, ABOVE, BELOW, RIGHT = 46, 26, 24, 10
#: Units that a bar takes at least, and a tick's words.
BAR, TICK = 6, 92
#: Units that something which is there is high at least, so that it is seen.
SEEN = 1.5
STACK = ("started", "passed", "failed", "absent")
#: Milliseconds between two ticks of a time axis, those that people count in.
_STEPS_MS = [
    1000 * step
    for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600)
]
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Rect:
    """A bar. *kind* chooses its colour, *title* is shown when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line from top to bottom, or from left to right."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """A word at a place; *anchor* says which of its ends is there."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    kind: str = "tick"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A picture."""

    width: int
    height: int
    says: str
    rects: Sequence[Rect]
    rules: Sequence[Stroke]
    words: Sequence[Word]


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle within the axes, and how many things its height stands for."""

    width: int
    height: int
    most: int

    @property
    def right(self) -> int:
        """Where it ends at the right."""
        return self.width - RIGHT

    @property
    def floor(self) -> int:
        """Where it ends below."""
        return self.height - BELOW

    def y(self, count: float) -> float:
        """Where a bar of so many ends above."""
        return round(self.floor - (self.floor - ABOVE) * count / self.most, 2)

    def grid(self) -> Iterator[Stroke | Word]:
        """The lines that help to read a bar's height."""
        for count in dict.fromkeys((0, self.most // 2, self.most)):
            yield Stroke(LEFT, self.y(count), self.right, self.y(count), "grid")
            yield Word(LEFT - 6, self.y(count) + 4, f"{count:,}", "end")


def timeline(report: Report, *, width: int, height: int = 220) -> Plot | None:
    """Draw what happened to exams over time, stacked, with the marks above; None without any."""
    if not report.timeline:
        return None
    buckets, step_ms = merge(
        report.timeline, step_ms=report.bucket_ms, most=max(1, (width - LEFT - RIGHT) // BAR)
    )
    first_ms, last_ms = buckets[0].at_ms, buckets[-1].at_ms + step_ms
    frame = Frame(width, height, _round_up(max(map(_sum, buckets))))

    def x(at_ms: float) -> float:
        return LEFT + (frame.right - LEFT) * (at_ms - first_ms) / (last_ms - first_ms)

    drawn = [*frame.grid(), *_time_ticks(first_ms, last_ms, frame)]
    drawn += [
        Stroke(
            round(x(mark.at_ms), 2), 4, round(x(mark.at_ms), 2), ABOVE - 6, "mark", _titled(mark)
        )
        for mark in report.marks
        if first_ms <= mark.at_ms <= last_ms
    ]
    rects = [
        rect
        for one in buckets
        for rect in _stack(one, x(one.at_ms), x(one.at_ms + step_ms) - x(one.at_ms), frame)
    ]
    return _plot(frame, "Exams started, passed, failed and absent over time", rects, drawn)


def lateness(late: Lateness, *, width: int, height: int = 200) -> Plot:
    """Draw how late `absent` was: milliseconds on a log scale, and how many exams."""
    frame = Frame(width, height, _round_up(max(count for _, count in late.bars)))
    used = [upper for upper, count in late.bars if count]
    decades = max(1, ceil(log10(max(late.max_ms, used[-1]))))

    def x(ms: float) -> float:
        share = min(log10(max(ms, 1)) + 0.2, decades + 0.2) / (decades + 0.2)
        return round(LEFT + (frame.right - LEFT) * share, 2)

    rects, lower = [], 10**-0.2
    for upper, count in late.bars:
        left = x(lower) if lower >= 1 else LEFT
        if count:
            y = min(frame.y(count), frame.floor - SEEN)
            title = f"up to {upper:,} ms: {count:,}"
            rects.append(Rect(left, y, max(x(upper) - left - 1, 1), frame.floor - y, "late", title))
        lower = upper
    drawn = [
        *frame.grid(),
        *(_tick(x(10**power), f"{10**power:,}", frame) for power in range(decades + 1)),
    ]
    for name, ms in (("p50", late.p50_ms), ("p99", late.p99_ms), ("max", late.max_ms)):
        drawn.append(Stroke(x(ms), ABOVE, x(ms), frame.floor, name, f"{name}: {ms:,} ms"))
        drawn.append(_above(name, x(ms), frame))
    return _plot(frame, "How late absent was, in milliseconds", rects, drawn)


def merge(timeline: Sequence[Bucket], *, step_ms: int, most: int) -> tuple[list[Bucket], int]:
    """Put neighbours together until there are no more than *most*; say how long each is then."""
    first_ms = min(one.at_ms for one in timeline)
    stretch = (max(one.at_ms for one in timeline) - first_ms) // step_ms + 1
    step_ms *= ceil(stretch / most)
    sums: dict[int, list[int]] = {}
    for one in timeline:
        into = sums.setdefault((one.at_ms - first_ms) // step_ms, [0] * len(STACK))
        for at, name in enumerate(STACK):
            into[at] += getattr(one, name)
    merged = [
        Bucket(at_ms=first_ms + number * step_ms, **dict(zip(STACK, counts, strict=True)))
        for number, counts in sorted(sums.items())
    ]
    return merged, step_ms


def _stack(bucket: Bucket, x: float, width: float, frame: Frame) -> Iterator[Rect]:
    below = 0
    title = f"{_utc(bucket.at_ms)}: " + ", ".join(f"{getattr(bucket, n):,} {n}" for n in STACK)
    for name in STACK:
        count = getattr(bucket, name)
        if count:
            y = frame.y(below + count)
            bar = max(width - (1 if width > 3 else 0), 0.8)
            yield Rect(round(x, 2), y, round(bar, 2), round(frame.y(below) - y, 2), name, title)
        below += count


def _time_ticks(first_ms: int, last_ms: int, frame: Frame) -> Iterator[Stroke | Word]:
    room = (frame.right - LEFT) / TICK
    wanted_ms = (last_ms - first_ms) / max(room, 1)
    step_ms = next((step for step in _STEPS_MS if step >= wanted_ms), None)
    step_ms = step_ms or _DAY_MS * ceil(wanted_ms / _DAY_MS)
    for at_ms in range(-(-first_ms // step_ms) * step_ms, last_ms, step_ms):
        x = LEFT + (frame.right - LEFT) * (at_ms - first_ms) / (last_ms - first_ms)
        yield Word(round(x, 2), frame.floor + 16, _tick_text(at_ms, step_ms))


def _above(name: str, x: float, frame: Frame) -> Word:
    """Name a line above it, so that names of lines at one place are beside each other."""
    if name == "p99":
        return Word(x, ABOVE - 15, name)
    is_left = name == "p50" or x > frame.right - 30
    return Word(x - 3 if is_left else x + 3, ABOVE - 4, name, "end" if is_left else "start")


def _tick(x: float, text: str, frame: Frame) -> Word:
    return Word(x, frame.floor + 16, text)


def _tick_text(at_ms: int, step_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    if step_ms >= _DAY_MS or (at_ms % _DAY_MS == 0):
        return moment.strftime("%Y-%m-%d")
    return moment.strftime("%H:%M:%S" if step_ms % 60_000 else "%H:%M")


def _titled(mark: Mark) -> str:
    return f"{_utc(mark.at_ms)}: {mark.text}"


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _sum(bucket: Bucket) -> int:
    return bucket.started + bucket.passed + bucket.failed + bucket.absent


def _round_up(most: int) -> int:
    """Find the next number that is easily read: 1, 2, 4, 5, 6, 8 and their multiples by ten."""
    unit: int = 10 ** (len(str(most)) - 1)
    return next(n * unit for n in (1, 2, 4, 5, 6, 8, 10) if n * unit >= max(most, 1))


def _plot(frame: Frame, says: str, rects: Sequence[Rect], drawn: Sequence[Stroke | Word]) -> Plot:
    return Plot(
        width=frame.width,
        height=frame.height,
        says=says,
        rects=rects,
        rules=[one for one in drawn if isinstance(one, Stroke)],
        words=[one for one in drawn if isinstance(one, Word)],
    )
