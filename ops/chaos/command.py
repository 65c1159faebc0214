"""Command: `invigil chaos`, around a run."""

import asyncio
import json
import shutil
import tempfile
from pathlib import Path

import click

from ops.chaos.run import Order, run
from ops.private_stack import NotReady

KEPT, BROKEN, MISUSED = 0, 1, 2


def run_chaos(
    minutes: float, rate: float, *, seed: int, every_s: float, folder: Path | None, as_json: bool
) -> int:
    """Run, show the scorecard, and return the exit code."""
    if folder and folder.exists() and any(folder.iterdir()):
        click.echo(f"invigil chaos: {folder} is not empty", err=True)
        return MISUSED
    place = folder or Path(tempfile.mkdtemp(prefix="invigil-chaos-"))
    place.mkdir(parents=True, exist_ok=True)
    order = Order(
        seconds=minutes * 60, rate=rate, seed=seed, every_s=every_s, folder=place.absolute()
    )
    try:
        card = asyncio.run(run(order))
    except NotReady as error:
        click.echo(f"invigil chaos: the system did not start ({place}):\n{error}", err=True)
        return BROKEN
    (place / "scorecard.json").write_text(json.dumps(card.as_dict(), indent=1) + "\n")
    click.echo(json.dumps(card.as_dict()) if as_json else card.as_text())
    if card.violations or folder:
        click.echo(f"ledger, logs and data: {place}", err=True)
    else:
        shutil.rmtree(place)
    return BROKEN if card.violations else KEPT
