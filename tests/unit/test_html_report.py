"""The audit as a page: what it shows, and that nothing from a log acts in it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ops.audit import plot
from ops.audit.html import render
from ops.audit.report_data import (
    LATENESS_MS,
    Bucket,
    Chain,
    Input,
    Lateness,
    Mark,
    Note,
    Report,
    Rule,
    lateness,
)
from ops.log import printable

#: 2026-11-24 08:00:00 UTC, in milliseconds.
T0 = 1_795_507_200_000
MINUTE = 60_000

PROVEN = Report(
    generated_at_ms=T0 + 9_000_000,
    inputs=[Input(file="worker-exam.jsonl", lines=4321, bytes=1_234_567)],
    span_ms=(T0, T0 + 7_500_000),
    totals={"exams": 1200, "absent": 34},
    rules=[
        Rule(name="lost", meaning="What was accepted has an end.", count=0),
        Rule(name="early", meaning="Nobody is absent before the deadline.", count=0),
    ],
    notes=[Note(name="lines of an older version", count=7, examples=["beat.jsonl:3: no chain"])],
    timeline=[
        Bucket(at_ms=T0, started=5, passed=2),
        Bucket(at_ms=T0 + MINUTE, started=1, failed=1, absent=2),
    ],
    marks=[Mark(at_ms=T0 + 30_000, text="gateway was killed")],
    lateness=lateness({2: 98, 40: 1, 5000: 1}),
    chains=[
        Chain(
            chain="00ff00ff00ff00ff",
            part="beat",
            pid=77,
            first_ms=T0,
            last_ms=T0 + MINUTE,
            lines=12,
            end="in order",
        )
    ],
    chains_left=5,
)
BROKEN = replace(
    PROVEN,
    rules=[
        *PROVEN.rules,
        Rule(name="twice", meaning="Nothing counts twice.", count=3, examples=["a.jsonl:17: two"]),
    ],
)
EVIL = "<script>alert(1)</script>\"'&\x1b[2J\u202e"


class Page(HTMLParser):
    """The elements and the visible words of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._skips = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self._skips = tag == "style"
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note what is read."""
        if not self._skips:
            self.words.append(data)

    @property
    def text(self) -> str:
        """What is read, with single spaces."""
        return " ".join(" ".join(self.words).split())

    def classes(self, tag: str) -> list[str]:
        """The classes of all elements of a kind."""
        return [attrs.get("class") or "" for name, attrs in self.elements if name == tag]


def test_proven() -> None:
    """Without a violation the page says so first, with how much was looked at."""
    page = Page(render(PROVEN))

    assert "Invigil audit: proven" in page.text
    assert "Proven: every promise was kept 2 rules hold in every line of this log." in page.text
    assert "4,321 lines in 1 file, from 2026-11-24 08:00:00 to 2026-11-24 10:05:00 UTC" in page.text
    assert "(2 hours 5 minutes)" in page.text
    assert "good" in page.classes("header")[0]


def test_violations() -> None:
    """A broken rule comes first, with its examples and how many more there are."""
    page = Page(render(BROKEN))

    assert "Invigil audit: 3 violations" in page.text
    assert "3 violations 1 of 3 rules were broken" in page.text
    assert "✗ twice Nothing counts twice. a.jsonl:17: two and 2 more 3 ✓ lost" in page.text
    assert page.classes("header") == ["bad"]


@pytest.mark.parametrize(
    "report", [Report(generated_at_ms=T0), replace(PROVEN, span_ms=None), replace(PROVEN, rules=[])]
)
def test_nothing_to_prove(report: Report) -> None:
    """An empty log, or none that was judged, proves nothing."""
    text = Page(render(report)).text

    assert "Nothing is proven" in text
    assert "every promise" not in text


@pytest.mark.parametrize(
    "said",
    [
        "exams 1,200 absent 34",
        "worker-exam.jsonl 4,321 1.23 MB",
        "lines of an older version beat.jsonl:3: no chain and 6 more 7",
        "✓ beat 77 2026-11-24 08:00:00 2026-11-24 08:01:00 12 in order 00ff00ff00ff00ff",
        "5 more are not shown",
        "1 disturbance 2026-11-24 08:00:30 gateway was killed",
        "half within 2 ms 99 in 100 within 40 ms all within 5,000 ms",
    ],
)
def test_tells_all_of_it(said: str) -> None:
    """Totals, files, notes, processes, disturbances and lateness are in words, too."""
    assert said in Page(render(PROVEN)).text


def test_broken_chain() -> None:
    """A process of which lines are missing is marked."""
    [chain] = PROVEN.chains
    page = Page(render(replace(PROVEN, chains=[replace(chain, is_whole=False, end="cut")])))

    assert "✗ beat 77" in page.text


def test_needs_nothing_else() -> None:
    """The page loads nothing, runs nothing, and tells the browser to refuse both."""
    html = render(BROKEN)
    page = Page(html)

    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "a", "form"}
    assert not re.search(r"url\(|@import|https?:", html)
    assert any("default-src 'none'" in str(attrs.get("content")) for _, attrs in page.elements)


def test_light_dark_and_paper() -> None:
    """The page follows the reader's choice of light or dark, fits a phone, and prints."""
    html = render(PROVEN)

    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert "width=device-width" in html
    assert Page(html).classes("svg") == ["wide", "narrow"] * 2


def test_no_text_is_markup() -> None:
    """A text from a log stays a text, wherever it stands, and is shown as it is."""
    [chain] = PROVEN.chains
    evil = Report(
        generated_at_ms=T0,
        inputs=[Input(file=EVIL, lines=1, bytes=1)],
        span_ms=(T0, T0),
        totals={EVIL: 1},
        rules=[Rule(name=EVIL, meaning=EVIL, count=1, examples=[EVIL])],
        notes=[Note(name=EVIL, count=1, examples=[EVIL])],
        timeline=[Bucket(at_ms=T0, started=1)],
        marks=[Mark(at_ms=T0, text=EVIL)],
        chains=[replace(chain, chain=EVIL, part=EVIL, end=EVIL)],
    )

    html = render(evil)

    assert {tag for tag, _ in Page(html).elements} == {
        tag for tag, _ in Page(render(replace(BROKEN, lateness=None))).elements
    }
    assert "\x1b" not in html
    assert "\u202e" not in html
    # One for every place, and one more for each of the two widths of the picture with the marks.
    assert Page(html).text.count(printable(EVIL)) == 13


def bars(made: plot.Plot, kind: str) -> Sequence[plot.Rect]:
    """The bars of one kind."""
    return [one for one in made.rects if one.kind == kind]


def test_timeline_stacks() -> None:
    """Bars of one time stand on each other, as high as what they count, within the picture."""
    made = plot.timeline(PROVEN, width=400)

    assert made is not None
    [started, _], [passed] = bars(made, "started"), bars(made, "passed")
    assert passed.y + passed.height == pytest.approx(started.y, abs=0.02)
    assert started.height / passed.height == pytest.approx(5 / 2, abs=0.01)
    assert all(0 <= one.x and one.x + one.width <= 400 for one in made.rects)
    assert [one.title for one in made.rules if one.kind == "mark"] == [
        "2026-11-24 08:00:30: gateway was killed"
    ]
    assert bars(made, "absent")[0].title == (
        "2026-11-24 08:01:00: 1 started, 0 passed, 1 failed, 2 absent"
    )


def test_no_timeline() -> None:
    """Without exams there is no picture."""
    assert plot.timeline(replace(PROVEN, timeline=[]), width=400) is None


def test_merge() -> None:
    """A long time is shown in fewer, longer buckets, of which none loses a count."""
    many = [Bucket(at_ms=T0 + n * MINUTE, started=1, absent=n % 2) for n in range(0, 1000, 2)]

    merged, step_ms = plot.merge(many, step_ms=MINUTE, most=100)

    assert step_ms == 10 * MINUTE
    assert len(merged) == 100
    assert sum(one.started for one in merged) == 500
    assert merged[1].at_ms - merged[0].at_ms == step_ms


@pytest.mark.parametrize("minutes", [1, 15, 600, 60_000])
def test_ticks(minutes: int) -> None:
    """A time axis has a few ticks, whether it shows a minute or weeks."""
    report = replace(
        PROVEN, timeline=[Bucket(at_ms=T0, started=1), Bucket(at_ms=T0 + minutes * MINUTE)]
    )

    made = plot.timeline(report, width=920)

    assert made is not None
    assert 2 <= len([one for one in made.words if one.anchor == "middle"]) <= 10


def test_lateness_counts() -> None:
    """Lateness is counted in fixed bars; the quantiles are exact."""
    made = lateness({0: 1, 1: 1, 7: 47, 10: 50, 10**9: 1})

    assert made == Lateness(bars=made.bars if made else (), p50_ms=10, p99_ms=10, max_ms=10**9)
    assert made is not None
    assert [upper for upper, _ in made.bars] == list(LATENESS_MS)
    assert dict(made.bars)[1] == 2
    assert dict(made.bars)[10] == 97
    assert made.bars[-1] == (10**6, 1)


def test_no_lateness() -> None:
    """Nobody was absent: there is nothing to plot."""
    assert lateness({}) is None
    assert "How late" not in Page(render(replace(PROVEN, lateness=None))).text


def test_lateness_plot() -> None:
    """Bars and lines stand in order on the log scale; a single exam is seen beside thousands."""
    late = lateness({2: 98_000, 40: 900, 5000: 1})
    assert late is not None

    made = plot.lateness(late, width=920)

    assert [one.x for one in made.rects] == sorted(one.x for one in made.rects)
    assert made.rects[-1].height >= plot.SEEN
    assert made.rects[-1].title == "up to 6,310 ms: 1"
    by_name = {one.kind: one.x1 for one in made.rules}
    assert by_name["p50"] < by_name["max"] < 920


@pytest.mark.parametrize("late", [{1: 1}, {7: 3}, {2: 98, 10**9: 2}])
def test_names_of_lines(late: dict[int, int]) -> None:
    """Each line of the lateness is named above it, and no two names are at one place."""
    counted = lateness(late)
    assert counted is not None

    words = plot.lateness(counted, width=380).words

    places = {one.text: (one.x, one.y) for one in words if one.text in {"p50", "p99", "max"}}
    assert len(set(places.values())) == 3
    assert all(0 < x < 380 for x, _ in places.values())


def test_marks_stay_within() -> None:
    """A disturbance before the first exam is listed; in the picture it would lie outside."""
    early = replace(PROVEN, marks=[Mark(at_ms=T0 - MINUTE, text="redis was away")])

    made = plot.timeline(early, width=400)

    assert made is not None
    assert [one for one in made.rules if one.kind == "mark"] == []
    assert "redis was away" in Page(render(early)).text
