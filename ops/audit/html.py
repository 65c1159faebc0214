"""Html: an audit as one page that needs nothing else: no network, no script. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ops.audit import plot
from ops.audit.plot import Plot
from ops.audit.report_data import Report
from ops.audit.wording import span
from ops.log import printable

#: Widths of the pictures in units: on a desk, and on a phone, where the words must stay readable.
WIDE, NARROW = 920, 380


def render(report: Report) -> str:
    """Make the page. No text from a log is markup in it, and none can hide or turn its letters."""
    shown: Report = _printable(report)
    values = {
        "report": shown,
        "lines": sum(one.lines for one in shown.inputs),
        "timelines": _pair(plot.timeline(shown, width=WIDE), plot.timeline(shown, width=NARROW)),
        "latenesses": _latenesses(shown),
    }
    return _environment().get_template("report.html").render(values)


def _latenesses(report: Report) -> list[tuple[str, Plot]]:
    late = report.lateness
    if late is None:
        return []
    return _pair(plot.lateness(late, width=WIDE), plot.lateness(late, width=NARROW))


def _pair(wide: Plot | None, narrow: Plot | None) -> list[tuple[str, Plot]]:
    return [(name, one) for name, one in (("wide", wide), ("narrow", narrow)) if one]


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("ops.audit"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"utc": _utc, "ms": _ms, "number": "{:,}".format, "size": _size, "span": span}
    return made


def _printable(value: Any) -> Any:
    """Show control characters, in every text however deep: none of them reaches the page."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(key): _printable(one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [_printable(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        named = {one.name: _printable(getattr(value, one.name)) for one in fields(value)}
        return replace(value, **named)
    return value


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _ms(ms: int) -> str:
    return f"{ms:,} ms"


def _size(number: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}" if unit != "bytes" else f"{number} bytes"
        number = number / 1000  # type: ignore[assignment]
    return f"{number:,.1f} GB"
