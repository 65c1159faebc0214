"""`invigil chaos` as its user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.log_lines import faults, read

from ops.private_stack import NotReady, Stack


def chaos(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run it on a folder."""
    argv = [sys.executable, "-m", "ops.cli", "chaos", "--folder", str(folder), *options]
    return subprocess.run(
        argv, env=dict(os.environ), capture_output=True, text=True, timeout=240, check=False
    )


def test_a_few_seconds(tmp_path: Path) -> None:
    """A short run keeps every promise, says so in words of ours, and leaves no process."""
    done = chaos(tmp_path / "run", "--minutes", "0.1", "--rate", "20", "--every", "2", "--json")

    card = json.loads(done.stdout)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert {"lost": 0, "twice": 0, "false absent": 0, "early": 0} == card["violations"]
    assert card["acknowledged"] > 50
    assert sum(card["kills"].values()) + sum(card["freezes"].values()) > 0
    assert (tmp_path / "run/ledger.jsonl").stat().st_size
    assert card == json.loads((tmp_path / "run/scorecard.json").read_text())
    assert card["acknowledged"] < len(list(read(tmp_path / "run/var/logs")))
    assert {} == faults(tmp_path / "run/var/logs")
    mark = str(tmp_path).encode()
    assert not [p for p in Path("/proc").glob("[0-9]*") if mark in command_line(p)]


def test_a_folder_in_use(tmp_path: Path) -> None:
    """A folder that is not empty is left alone."""
    (tmp_path / "mine").write_text("precious")

    done = chaos(tmp_path)

    assert 2 == done.returncode
    assert "is not empty" in done.stderr
    assert ["mine"] == [path.name for path in tmp_path.iterdir()]


async def test_a_system_that_does_not_start(tmp_path: Path) -> None:
    """What keeps the system from starting is said."""
    (tmp_path / "var").write_text("not a folder")

    with pytest.raises(NotReady, match="INVIGIL_DATA"):
        await Stack(tmp_path / "var").start()


def command_line(folder: Path) -> bytes:
    """Read a process' command line and environment, if it still lives."""
    try:
        return (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
    except OSError:
        return b""
