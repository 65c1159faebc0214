"""Report data: what an audit found, as the page shows it. Filled by the rules, read by `html`."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Upper ends, in milliseconds, of the bars in which lateness is counted: five to a factor of ten.
#: What is later than the last one is counted there too.
LATENESS_MS = tuple(sorted({round(10 ** (step / 5)) for step in range(31)}))
#: Processes that are listed; the rest is a number.
MOST_CHAINS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file that was read."""

    file: str
    lines: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    A promise, and how often it was broken.

    Attributes:
        meaning: What it promises, in a sentence for people.
        count: Violations; 0 when the log proves that it was kept.
        examples: The first few, each with its place: ``worker-exam.jsonl:17: ...``.
    """

    name: str
    meaning: str
    count: int
    examples: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that people should know and that breaks no promise."""

    name: str
    count: int
    examples: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What happened to exams in one stretch of time, which begins at *at_ms*."""

    at_ms: int
    started: int = 0
    passed: int = 0
    failed: int = 0
    absent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment at which a part was started again, or Redis was away."""

    at_ms: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """
    How long after its deadline `absent` was on the disk.

    Attributes:
        bars: For each of `LATENESS_MS`: up to so many milliseconds, so many exams.
    """

    bars: Sequence[tuple[int, int]]
    p50_ms: int
    p99_ms: int
    max_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """
    The lines of one process.

    Attributes:
        end: How it ended, in words: ``in order``, ``killed``, ``still open``.
        is_whole: Whether no line of it is missing.
    """

    chain: str
    part: str
    pid: int
    first_ms: int
    last_ms: int
    lines: int
    end: str
    is_whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    All that the page shows. Moments are milliseconds since 1970, in UTC.

    Attributes:
        span_ms: When the first and the last line were written; None without any line.
        totals: Name to number, in the order in which they are shown.
        bucket_ms: How long each bucket of the timeline is.
        chains: The first `MOST_CHAINS`, those that are not whole first; *chains_left* the rest.
    """

    generated_at_ms: int
    inputs: Sequence[Input] = ()
    span_ms: tuple[int, int] | None = None
    totals: Mapping[str, int] = field(default_factory=dict)
    rules: Sequence[Rule] = ()
    notes: Sequence[Note] = ()
    bucket_ms: int = 60_000
    timeline: Sequence[Bucket] = ()
    marks: Sequence[Mark] = ()
    lateness: Lateness | None = None
    chains: Sequence[Chain] = ()
    chains_left: int = 0

    @property
    def violations(self) -> int:
        """How often a promise was broken."""
        return sum(rule.count for rule in self.rules)

    @property
    def is_proven(self) -> bool:
        """Whether there was something to prove, and it is proven."""
        return self.span_ms is not None and bool(self.rules) and not self.violations


def lateness(counts: Mapping[int, int]) -> Lateness | None:
    """
    Make the bars and the lines of the plot.

    Args:
        counts: Milliseconds to the number of exams that were so late.
    """
    total = sum(counts.values())
    if not total:
        return None
    bars = [0] * len(LATENESS_MS)
    for late_ms, number in counts.items():
        bars[min(bisect_left(LATENESS_MS, late_ms), len(bars) - 1)] += number
    return Lateness(
        bars=tuple(zip(LATENESS_MS, bars, strict=True)),
        p50_ms=_rank(counts, total * 50 / 100),
        p99_ms=_rank(counts, total * 99 / 100),
        max_ms=max(counts),
    )


def _rank(counts: Mapping[int, int], rank: float) -> int:
    """Find the smallest lateness that at least *rank* exams do not exceed."""
    seen = 0
    for late_ms in sorted(counts):
        seen += counts[late_ms]
        if seen >= rank:
            return late_ms
    raise AssertionError(rank)
