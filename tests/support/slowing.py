"""Slowing: a process that gets only a share of its time, as on a machine that has too little."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

#: Seconds of a round: it goes on for a share of them, and is stopped for the rest.
ROUND_S = 0.05


@contextmanager
def slowed(find: Callable[[], int], *, share: float) -> Iterator[None]:
    """
    Let a process run for a share of the time only.

    Args:
        find: Finds the process, which may be another one after a while.
    """
    ended = threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            with suppress(ProcessLookupError, ValueError):  # it is away for a moment
                pid = find()
                os.kill(pid, signal.SIGSTOP)
                ended.wait(ROUND_S * (1 - share))
                os.kill(pid, signal.SIGCONT)
            ended.wait(ROUND_S * share)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
