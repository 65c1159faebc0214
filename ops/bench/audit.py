"""Bench of the audit: lines per second on one core, and memory, beside a loop that only parses."""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from ops.audit.audit import Audit
from ops.audit.line import parse
from ops.audit.opening import opened
from ops.audit.paths import find
from ops.bench.log_lines import System

#: What is timed: the audit, and two loops that only parse each line.
KINDS = ("audit", "msgspec", "json")


@dataclass(frozen=True, slots=True)
class Run:
    """One reading of all lines in a process of its own."""

    kind: str
    lines: int
    cpu_s: float
    peak_mb: float


def bench(*, lines: int, rounds: int, as_json: bool) -> int:
    """Make a log of *lines*, read it *rounds* times in each way, by turns, and say what it took."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="invigil-bench-") as name:
        folder = Path(name)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("making lines", total=lines)
            for done in System(folder).run(lines):
                progress.update(task, completed=min(done, lines))
            task = progress.add_task("reading them", total=rounds * len(KINDS))
            runs = []
            for _ in range(rounds):
                for kind in KINDS:
                    runs.append(_in_a_process(kind, folder))
                    progress.advance(task)
        size = sum(path.stat().st_size for path in folder.iterdir())
    _say(runs, size=size, as_json=as_json)
    return 0


def measure(kind: str, folder: Path) -> Run:
    """Read all lines in one way, in this process."""
    began_s = time.process_time()
    count = _audit(folder) if kind == "audit" else _parse(folder, PARSERS[kind])
    cpu_s = time.process_time() - began_s
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Run(kind, count, cpu_s, peak_kb / 1024)


def _audit(folder: Path) -> int:
    audit = Audit()
    with opened(find([str(folder)])) as (inputs, advance):
        for block in inputs.blocks(advance):
            audit.take(block)
    audit.end()
    assert audit.findings.is_proven
    return audit.lines


def _parse(folder: Path, parser: Callable[[bytes], object]) -> int:
    count = 0
    for path in find([str(folder)]):
        with path.open("rb") as file:
            for raw in file:
                parser(raw)
                count += 1
    return count


PARSERS: dict[str, Callable[[bytes], object]] = {"msgspec": parse, "json": json.loads}


def _in_a_process(kind: str, folder: Path) -> Run:
    """Measure in a process of its own, so that each peak of memory is that run's."""
    command = [sys.executable, "-m", "ops.bench.audit", kind, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return Run(**json.loads(done.stdout))


def _say(runs: list[Run], *, size: int, as_json: bool) -> None:
    found: dict[str, Any] = {"lines": runs[0].lines, "megabytes": round(size / 1e6, 1)}
    for kind in KINDS:
        own = [run for run in runs if run.kind == kind]
        speeds = sorted(run.lines / run.cpu_s for run in own)
        found[kind] = {
            "lines per second": round(statistics.median(speeds)),
            "slowest": round(speeds[0]),
            "fastest": round(speeds[-1]),
            "peak MB": round(max(run.peak_mb for run in own), 1),
        }
    speed = found["audit"]["lines per second"]
    found["ratios"] = {
        kind: round(speed / found[kind]["lines per second"], 2) for kind in KINDS if kind != "audit"
    }
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    click.echo(f"{found['lines']:,} lines, {found['megabytes']:,} MB")
    for kind in KINDS:
        one = found[kind]
        spread = f"({one['slowest']:,} to {one['fastest']:,})"
        click.echo(
            f"  {kind:8} {one['lines per second']:>9,} lines/s {spread}, {one['peak MB']} MB"
        )
    for kind, ratio in found["ratios"].items():
        click.echo(f"  the audit is {ratio} of a loop that only parses with {kind}")


if __name__ == "__main__":
    click.echo(json.dumps(asdict(measure(sys.argv[1], Path(sys.argv[2])))))
