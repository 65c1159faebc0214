"""
How fast lists are with 100,000 exams: `python tests/lists.py [exams]` prints milliseconds.

Not a test: what it says depends on the machine.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from filestore.fact import Status
from filestore.row import Row
from filestore.table import Table

ROUNDS = 200


def measure(name: str, act: Callable[[], object]) -> None:
    """Print the median and the slowest of some rounds."""
    took_ms = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        took_ms.append((time.perf_counter() - began) * 1000)
    print(f"{name:30} p50 {statistics.median(took_ms):7.3f} ms, max {max(took_ms):7.3f} ms")


def decided(row: Row) -> Row:
    """Make of a row another one."""
    return replace(row, status=Status.FAIL, decided_ms=1)


def main(exams: int) -> None:
    """Fill a table, and ask it."""
    every = list(Status)
    with tempfile.TemporaryDirectory() as folder:
        table = Table(Path(folder))
        token = table.begin("boot")
        rows = [
            Row(
                pk=f"exam-{number}",
                status=every[number % 997 % 4],
                started_ms=number // 3,
                deadline_ms=number,
                decided_ms=None,
            )
            for number in range(exams)
        ]
        began = time.perf_counter()
        for at in range(0, exams, 200):
            table.fill(rows[at : at + 200], token=token)
        table.finish(token=token)
        print(f"{exams:,} rows in {time.perf_counter() - began:.2f} s")
        middle = (exams // 6, "exam")

        def page(status: Status | None, before: tuple[int, str] | None) -> Callable[[], object]:
            return lambda: table.page(status=status, since_ms=0, before=before, limit=51)

        measure("first page", page(None, None))
        measure("page in the middle", page(None, middle))
        measure("in the middle, of one status", page(Status.PASS, middle))
        measure("counts", table.counts)
        numbers = iter(range(ROUNDS))
        measure(
            "a row that changes", lambda: table.put([decided(rows[next(numbers)])], boot="boot")
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
