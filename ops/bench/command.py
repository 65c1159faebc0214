"""Benches on the command line."""

import sys
from pathlib import Path

import click

from ops.bench import audit as auditing
from ops.bench import figures
from ops.bench import log as logging


@click.group(name="bench")
def group() -> None:
    """Measure what the product costs, beside a limit measured in the same run."""


@group.command()
@click.option("--lines", type=click.IntRange(1000), default=1_000_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def audit(lines: int, rounds: int, *, as_json: bool) -> None:
    """
    Lines per second of `invigil audit`, and its memory, on a log that is made for it.

    A million lines take 400 MB in the folder for temporary files.
    """
    sys.exit(auditing.bench(lines=lines, rounds=rounds, as_json=as_json))


@group.command()
@click.option("--lines", type=click.IntRange(1000), default=20_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def log(lines: int, rounds: int, *, as_json: bool) -> None:
    """Microseconds of one log line, with and without its chain, rendered and written."""
    sys.exit(logging.bench(lines=lines, rounds=rounds, as_json=as_json))


#: What each of them measures, for people who ask for help.
HELP = {
    "ingest": "Starts that one gateway takes a second, beside an aiohttp that does nothing.",
    "bulk": "Commands that POST /commands takes a second, beside XADDs in a pipeline.",
    "e2e": "From a request to the synced document: how many a second, and how long one takes.",
    "timers": "Deadlines that fall into one second: when the last exam is absent, and bytes each.",
    "store": "The files alone: saving, reading one, and a page of a list.",
}
SIZES = {
    "ingest": "Seconds of a round",
    "bulk": "Commands in the body",
    "e2e": "Exams at once",
    "timers": "Deadlines",
    "store": "Exams",
}


#: How each of them can be run.
OPTIONS = (
    click.option("--rounds", type=click.IntRange(1), default=3, show_default=True),
    click.option("--short", "is_short", is_flag=True, help="Less of it: a first impression."),
    click.option(
        "--folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Where the data goes meanwhile: on the disk that is to be measured.",
    ),
    click.option("--json", "as_json", is_flag=True, help="As JSON, for --compare."),
    click.option(
        "--chart",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Draw the medians into this SVG file.",
    ),
    click.option(
        "--compare",
        "old",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Say what has changed since this JSON was made.",
    ),
)
HOW = (
    "On a private system with ports and data of its own. Each figure is the median of the rounds, "
    "with the lowest and the highest; = marks what the machine can do."
)


def _add(name: str) -> None:
    """Make the command of one bench, or of all."""
    is_all = name == "all"
    about = "All of these, one after the other." if is_all else HELP[name]

    def command(size: int | None = None, **given: object) -> None:
        names = list(figures.BENCHES) if is_all else [name]
        sys.exit(figures.run(figures.Wish(names=names, size=size, **given)))  # type: ignore[arg-type]

    for option in reversed(OPTIONS):
        command = option(command)
    if not is_all:
        said = f"{SIZES[name]}; {figures.BENCHES[name].size:,} by default."
        command = click.option("--size", type=click.IntRange(1), help=said)(command)
    group.command(name=name, help=f"{about}\n\n{HOW}", short_help=about)(command)


for _name in (*figures.BENCHES, "all"):
    _add(_name)
