"""Figures: run benches one after the other, and show what they have found."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import click
from rich.console import Console

from ops.bench import bulk, e2e, ingest, report, store, timers
from ops.bench.report import Report
from ops.bench.tools import CannotMeasure, Order, Tell
from ops.embedded import NotStarted

#: Exit codes: something is missing; Ctrl-C.
CANNOT, INTERRUPTED = 2, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """
    What can be measured, and how much of it when nobody says.

    Attributes:
        size: Seconds of a round, or how many of what it measures.
        short: The same for a first impression.
    """

    measure: Callable[[Order], Report]
    size: int
    short: int


BENCHES: Mapping[str, Bench] = MappingProxyType(
    {
        "ingest": Bench(measure=ingest.measure, size=5, short=2),
        "bulk": Bench(measure=bulk.measure, size=50_000, short=20_000),
        "e2e": Bench(measure=e2e.measure, size=20_000, short=3_000),
        "timers": Bench(measure=timers.measure, size=20_000, short=2_000),
        "store": Bench(measure=store.measure, size=100_000, short=10_000),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """
    What was asked for.

    Attributes:
        size: Of each bench; None: its own.
        folder: On which disk; None: that of temporary files.
        chart: Where to draw it.
        old: An older result to compare with.
    """

    names: Sequence[str]
    rounds: int
    size: int | None
    is_short: bool
    folder: Path | None
    as_json: bool
    chart: Path | None
    old: Path | None


def run(wish: Wish) -> int:
    """Measure, show, and leave nothing behind; return the exit code."""
    console = Console(stderr=True)
    found: list[Report] = []
    try:
        old = report.load(wish.old.read_text(encoding="utf-8")) if wish.old else None
        with (
            tempfile.TemporaryDirectory(
                prefix="invigil-bench-", dir=wish.folder, ignore_cleanup_errors=True
            ) as name,
            _telling(console) as tell,
        ):
            for one in wish.names:
                found.append(BENCHES[one].measure(_order(wish, one, Path(name), tell)))
    except (CannotMeasure, NotStarted, ValueError, OSError) as error:
        click.echo(f"invigil bench: {error}", err=True)
        return CANNOT
    except KeyboardInterrupt:
        click.echo("invigil bench: stopped; nothing is left of it", err=True)
        return INTERRUPTED
    click.echo(report.dump(found) if wish.as_json else "\n\n".join(map(str, found)))
    if old is not None:
        click.echo("\n" + report.compare(found, old), err=wish.as_json)
    if wish.chart:
        wish.chart.write_text(report.chart(found), encoding="utf-8")
        click.echo(f"drawn: {wish.chart}", err=True)
    return 0


def _order(wish: Wish, name: str, folder: Path, tell: Tell) -> Order:
    bench = BENCHES[name]
    size = wish.size or (bench.short if wish.is_short else bench.size)
    return Order(folder=folder, rounds=wish.rounds, size=size, tell=tell)


@contextmanager
def _telling(console: Console) -> Iterator[Tell]:
    """Show what is being done: on a terminal in one line, else a line each."""
    if not console.is_terminal:
        yield lambda text: click.echo(text, err=True)
        return
    with console.status("starting") as status:
        yield status.update
