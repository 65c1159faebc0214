"""Bench of the log: what one line costs, and what of it is the chain."""

import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import click
import structlog

from ops import hygiene
from ops.chain import Chain, Register
from ops.events import Event
from ops.log import configure
from ops.settings import Settings

#: Lines that a command of an exam leaves at its doors: accepted, dispatched, applied, its
#: deadline's, and its task's end.
LINES_OF_A_COMMAND = 5
KEYS = {
    "pk": "math-7",
    "command_id": "01a20743-995a-7ddd-a193-d1be0e73cd14",
    "entry": "1795418200411-0",
    "type": "exam.start",
    "verdict": "applied",
    "reason": None,
    "at_ms": 1795418200411,
    "value": 120,
    "source": None,
    "deadline_ms": 1795418320411,
    "redelivered": False,
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "task_id": "49d97c0b-6344-4a4f-925c-49c79d0f6e77",
    "task": "tasks.exam",
}

log = structlog.get_logger()


def bench(*, lines: int, rounds: int, as_json: bool) -> int:
    """Write *lines* in each way, *rounds* times, by turns, and say what one took."""
    with tempfile.TemporaryDirectory(prefix="invigil-bench-") as name:
        folder = Path(name)
        configure(Settings.read(data=folder), part="bench", is_quiet=True)
        descriptor = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        ways: dict[str, Callable[[], object]] = {
            "whole line": lambda: log.info(Event.APPLIED, **KEYS),
            "without chain": lambda: log.info(Event.APPLIED, **KEYS),
            "JSON and write": lambda: os.write(descriptor, hygiene.render(KEYS) + b"\n"),
        }
        found: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, act in ways.items():
                with _without_chain() if way == "without chain" else nullcontext():
                    found[way].append(_microseconds(act, lines))
        logging.getLogger().handlers[0].close()
        os.close(descriptor)
    _say({way: statistics.median(times) for way, times in found.items()}, as_json=as_json)
    return 0


@contextmanager
def _without_chain() -> Iterator[None]:
    """Leave out hashing, and the note of the head."""

    def nothing(*_: object) -> None:
        pass

    with patch.object(Chain, "add", nothing), patch.object(Register, "note", nothing):
        yield


def _microseconds(act: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        act()
    return (time.process_time() - began) / times * 1e6


def _say(found: dict[str, float], *, as_json: bool) -> None:
    chain = found["whole line"] - found["without chain"]
    report = {
        "microseconds": {way: round(value, 1) for way, value in found.items()},
        "chain": round(chain, 1),
        "per command": round(found["whole line"] * LINES_OF_A_COMMAND, 1),
        "chain per command": round(chain * LINES_OF_A_COMMAND, 1),
    }
    if as_json:
        click.echo(json.dumps(report, indent=1))
        return
    for way, value in found.items():
        click.echo(f"  {way:22} {value:7.1f} us")
    click.echo(f"  of a line the chain is  {chain:7.1f} us")
    click.echo(
        f"  a command's {LINES_OF_A_COMMAND} lines      {report['per command']:7.1f} us,"
        f" of these the chains {report['chain per command']} us"
    )
