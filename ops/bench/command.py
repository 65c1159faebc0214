"""Benches on the command line."""

import sys

import click

from ops.bench import audit as auditing
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
