"""Tools: what benches need of the machine, and a word when it is not there."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Seconds that `wrk` may take longer than it was told.
GRACE_S = 60.0

#: Bytes of a file of a limit: about what a document has.
FILE_BYTES = 600

#: Called with what is being done now.
Tell = Callable[[str], None]


class CannotMeasure(RuntimeError):  # noqa: N818 - says what it is
    """Something is missing; the message says what was seen, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    How a bench is to be run.

    Attributes:
        folder: Empty, on the disk that is to be measured. Nothing in it is removed between rounds:
            ext4 takes longer for what is made after that.
        size: Seconds of a round, or how many of what it measures.
    """

    folder: Path
    rounds: int
    size: int
    tell: Tell


@dataclass(frozen=True, slots=True)
class Load:
    """What `wrk` has seen: answers a second, and milliseconds that half and 99 % of them took."""

    per_s: float
    p50_ms: float
    p99_ms: float
    refused: int


def need_room(folder: Path, megabytes: int) -> None:
    """
    See that a folder's disk has room.

    Raises:
        CannotMeasure: It has not.
    """
    free = shutil.disk_usage(folder).free >> 20
    if free < megabytes:
        raise CannotMeasure(
            f"{folder} has {free:,} MB free, and this takes up to {megabytes:,}: "
            "choose another with --folder, or a smaller --size"
        )


def need_wrk() -> str:
    """
    Find `wrk`, which asks faster than anything in Python can.

    Raises:
        CannotMeasure: It is not there.
    """
    found = shutil.which("wrk")
    if not found:
        raise CannotMeasure("wrk is not on PATH; Debian and Homebrew have it as the package wrk")
    return found


def wrk(url: str, *, seconds: int, connections: int, script: Path, mark: str) -> Load:
    """
    Ask an HTTP server as fast as it answers.

    Args:
        script: In Lua, what to ask; it gets *mark*, to ask for nothing twice.

    Raises:
        CannotMeasure: It did not get through.
    """
    argv = [need_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    done = subprocess.run(
        [*argv, url, "--", mark],
        capture_output=True,
        text=True,
        timeout=seconds + GRACE_S,
        check=False,
    )
    return parse(done.stdout + done.stderr)


def parse(text: str) -> Load:
    """
    Read what `wrk` prints.

    Raises:
        CannotMeasure: There is no figure in it.
    """
    per_s = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p50, p99 = (re.search(rf"\b{p}%\s+([\d.]+)(us|ms|s|m)\b", text) for p in (50, 99))
    if not (per_s and p50 and p99):
        raise CannotMeasure(f"wrk did not get through: {text.strip()[-300:]}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
    p50_ms, p99_ms = (float(found[1]) * scale[found[2]] for found in (p50, p99))
    return Load(float(per_s[1]), p50_ms, p99_ms, int(refused[1]) if refused else 0)


def quantile(values: list[float], share: float) -> float:
    """Find the value that so large a share of all is not above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def write_file(path: Path) -> None:
    """Write, sync and rename a file, as bare as can be: the limit of whoever keeps documents."""
    temporary = f"{path}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o640)
    try:
        os.write(descriptor, b"x" * FILE_BYTES)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)  # noqa: PTH104
