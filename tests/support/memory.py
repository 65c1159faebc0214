"""Memory: what each part of a running system takes, and what it has at its end."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.stack import Stack

#: Seconds between two looks.
LOOK_S = 0.5

Seen = dict[tuple[str, int], list[int]]


@contextmanager
def watched(stack: Stack) -> Iterator[Seen]:
    """
    Look again and again at the memory of `up` and of all that it has started.

    Gives, by name and process id, the bytes at each look that the process alone has: what is
    shared with the one it was forked from is nobody's growth.
    """
    seen: Seen = defaultdict(list)
    ended = threading.Event()

    def look_on() -> None:
        while not ended.wait(LOOK_S):
            for process in descendants(stack.process.pid):
                try:
                    name = (process / "comm").read_text().strip()
                    seen[name, int(process.name)].append(_own_bytes(process))
                except (OSError, StopIteration):  # it has ended meanwhile
                    continue

    thread = threading.Thread(target=look_on)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def descendants(pid: int) -> list[Path]:
    """Folders in ``/proc`` of a process and of all that descend from it."""
    found = [Path(f"/proc/{pid}")]
    for process in found:
        for task in process.glob("task/*/children"):
            try:
                found += [Path(f"/proc/{child}") for child in task.read_text().split()]
            except OSError:
                continue
    return found


def _own_bytes(process: Path) -> int:
    lines = (process / "smaps_rollup").read_text().splitlines()
    private = (int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return sum(private) << 10
