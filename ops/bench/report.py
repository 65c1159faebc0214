"""Report: what a bench has found, as text, JSON and a chart, or beside an older one. Pure."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

#: Width of the chart's bars, height of a row, and room for names, in pixels.
BAR, ROW, NAMES = 420, 26, 330
#: Colours of what is ours, and of limits.
OURS, LIMIT = "#3b6ea5", "#b9c4cf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """
    One thing that was measured, once a round.

    Attributes:
        unit: As it is read behind a number: ``requests/s``, ``ms``.
        is_limit: Whether it is what the machine can do, measured in the same run.
    """

    name: str
    unit: str
    values: Sequence[float]
    is_limit: bool = False

    @property
    def median(self) -> float:
        """The middle of all rounds."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        """Write a row of the table: the median, and from where to where the rounds went."""
        spread = f"{number(min(self.values))} to {number(max(self.values))}"
        sign = "=" if self.is_limit else " "
        return f"{sign} {self.name:44} {number(self.median):>10} {self.unit} ({spread})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    What one bench has found.

    Attributes:
        ratios: What the figures mean, by name: those travel from machine to machine.
    """

    bench: str
    series: Sequence[Series]
    ratios: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """Write it as text; limits are marked with ``=``."""
        ratios = (f"  {name:44} {value:>10.2f}" for name, value in self.ratios.items())
        return "\n".join([self.bench, *map(str, self.series), *ratios])

    def as_dict(self) -> dict[str, Any]:
        """Make what `--compare` reads."""
        return {
            "bench": self.bench,
            "series": [
                {
                    "name": one.name,
                    "unit": one.unit,
                    "median": one.median,
                    "values": list(one.values),
                    "is_limit": one.is_limit,
                }
                for one in self.series
            ],
            "ratios": dict(self.ratios),
        }


def number(value: float) -> str:
    """Write a number so that it can be read: three digits at least, and no more than it has."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def dump(reports: Sequence[Report]) -> str:
    """Write reports as JSON."""
    return json.dumps([report.as_dict() for report in reports], indent=1)


def load(text: str) -> list[Report]:
    """
    Read what `dump` wrote.

    Raises:
        ValueError: It is something else.
    """
    try:
        return [_report(one) for one in _list(json.loads(text))]
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
        raise ValueError(f"not a report of `invigil bench --json`: {error!r}") from error


def _list(found: object) -> list[Any]:
    if not isinstance(found, list):
        raise TypeError("no list")
    return found


def _report(found: Any) -> Report:
    return Report(
        bench=found["bench"],
        series=[
            Series(
                name=one["name"],
                unit=one["unit"],
                values=[float(value) for value in one["values"]],
                is_limit=bool(one["is_limit"]),
            )
            for one in found["series"]
        ],
        ratios={name: float(value) for name, value in found["ratios"].items()},
    )


def compare(new: Sequence[Report], old: Sequence[Report]) -> str:
    """
    Say what changed, line by line: the median before and now, and now as a multiple of before.

    A limit that changed says that the machine did: then only ratios can be compared.
    """
    before = {(report.bench, one.name): one for report in old for one in report.series}
    lines = []
    for report in new:
        for one in report.series:
            if was := before.get((report.bench, one.name)):
                times = f"{one.median / was.median:.2f}" if was.median else "-"
                name = f"{report.bench}: {one.name}"
                shown = f"{number(was.median):>10} -> {number(one.median):>10} {one.unit}"
                lines.append(f"{'=' if one.is_limit else ' '} {name:54} {shown}, {times} times")
    return "\n".join(lines) or "nothing in it is in both"


def chart(reports: Sequence[Report]) -> str:
    """Draw all medians as an SVG: a bar each, by bench and unit as long as the largest."""
    rows: list[str] = []
    top = 0
    for report in reports:
        rows.append(_text(4, top, report.bench, is_bold=True))
        top += ROW
        for one in report.series:
            largest = max(other.median for other in report.series if other.unit == one.unit)
            length = BAR * one.median / largest if largest else 0
            rows.append(_text(14, top, one.name))
            rows.append(
                f'<rect x="{NAMES}" y="{top + 5}" width="{length:.0f}" height="{ROW - 10}" '
                f'fill="{LIMIT if one.is_limit else OURS}"/>'
            )
            rows.append(_text(NAMES + round(length) + 6, top, f"{number(one.median)} {one.unit}"))
            top += ROW
        top += ROW // 2
    width = NAMES + BAR + 150
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" '
    font = 'font-family="system-ui, sans-serif" font-size="13">'
    return "\n".join(
        [head + font, '<rect width="100%" height="100%" fill="white"/>', *rows, "</svg>\n"]
    )


def _text(x: int, top: int, text: str, *, is_bold: bool = False) -> str:
    weight = ' font-weight="bold"' if is_bold else ""
    return f'<text x="{x}" y="{top + ROW - 9}"{weight}>{escape(text)}</text>'
