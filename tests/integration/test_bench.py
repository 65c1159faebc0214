"""Benches as a user runs them: small ones, to their end, and what is left of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.stack import environment
from support.waiting import wait_until

#: Seconds for a small bench on two busy cores.
LIMIT_S = 240


def bench(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a bench to its end."""
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", "bench", *arguments, "--folder", str(folder)],
        env={**environment(folder, redis_url=None), **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_store(tmp_path: Path) -> None:
    """It measures, beside the machine's own limit, shows, draws, compares, and leaves nothing."""
    folder, kept = tmp_path / "disk", tmp_path / "kept"
    folder.mkdir()
    kept.mkdir()
    small = ("store", "--size", "300", "--rounds", "2")

    first = bench(folder, *small, "--json", "--chart", str(kept / "chart.svg"))
    assert 0 == first.returncode, first.stderr
    [report] = json.loads(first.stdout)
    (kept / "old.json").write_text(first.stdout)
    second = bench(folder, *small, "--compare", str(kept / "old.json"))

    assert "store" == report["bench"]
    assert all(one["median"] > 0 for one in report["series"])
    assert [True] == [one["is_limit"] for one in report["series"] if "fsync" in one["name"]]
    assert (kept / "chart.svg").read_text().startswith("<svg")
    assert "store: reading, round 2 of 2" in first.stderr
    assert 0 == second.returncode
    assert second.stdout.count(" times") == len(report["series"])
    assert not list(folder.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="needs inotify")
@pytest.mark.parametrize(
    ("name", "size", "units"),
    [("timers", "60", {"s late", "bytes"}), ("e2e", "100", {"records/s", "ms"})],
)
def test_a_whole_system(tmp_path: Path, name: str, size: str, units: set[str]) -> None:
    """A private system does what is measured, and is gone afterwards."""
    done = bench(tmp_path, name, "--size", size, "--rounds", "1", "--json")

    assert 0 == done.returncode, done.stderr
    [report] = json.loads(done.stdout)
    assert units == {one["unit"] for one in report["series"]}
    assert all(one["median"] > 0 for one in report["series"] if one["unit"] != "s late")
    assert not list(tmp_path.iterdir())


def test_bulk(tmp_path: Path) -> None:
    """One gateway takes a body, and is gone afterwards."""
    done = bench(tmp_path, "bulk", "--size", "2000", "--rounds", "1", "--json")

    assert 0 == done.returncode, done.stderr
    [report] = json.loads(done.stdout)
    assert 0 < report["ratios"]["POST /commands, of a pipeline"]
    assert not list(tmp_path.iterdir())


def test_without_wrk(tmp_path: Path) -> None:
    """What is missing is said in one line, with the exit code for it."""
    done = bench(tmp_path, "ingest", PATH=str(tmp_path))

    assert 2 == done.returncode
    assert done.stderr.startswith("invigil bench: wrk is not on PATH")
    assert not list(tmp_path.iterdir())


def test_not_a_report(tmp_path: Path) -> None:
    """A file that is no report of ours is said before anything is measured."""
    (tmp_path / "old.json").write_text("{}")

    done = bench(tmp_path, "store", "--compare", str(tmp_path / "old.json"))

    assert 2 == done.returncode
    assert "not a report of `invigil bench --json`" in done.stderr
    assert [tmp_path / "old.json"] == list(tmp_path.iterdir())


def test_ctrl_c(tmp_path: Path) -> None:
    """Stopped amid its work it ends its system, and leaves no file and no process."""
    with started(tmp_path, "e2e", "--size", "100000") as process:
        wait_until(lambda: ours(tmp_path), timeout_s=60, saying="its system runs")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)

    assert 130 == process.returncode, said
    assert said.splitlines()[-1] == "invigil bench: stopped; nothing is left of it"
    assert not list(tmp_path.iterdir())
    assert not ours(tmp_path)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a bench, as from a terminal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.cli", "bench", *arguments, "--folder", str(folder)],
        env=environment(folder, redis_url=None),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ours(folder: Path) -> list[int]:
    """Find the processes that were started with a bench's folder below this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            variables = (path / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(str(folder / "invigil-bench-")) in variables:
            found.append(int(path.name))
    return found
