"""Celery's command lines: one worker per queue, and beat."""

import os
import sys

from ops.keys import QUEUE_EXAM, QUEUE_MAIL, QUEUE_SLOW

#: Pool per queue: files and mail want processes, sleeping wants greenlets.
POOLS = {QUEUE_EXAM: "prefork", QUEUE_MAIL: "prefork", QUEUE_SLOW: "gevent"}


def worker_argv(queue: str, autoscale: str) -> list[str]:
    """
    Return the command line of the worker for *queue*.

    Its name carries the id of the process that starts it, so that two stacks on one machine are
    told apart.

    Args:
        queue: ``exam``, ``mail`` or ``slow``.
        autoscale: ``MAX,MIN`` slots.
    """
    options = ["--queues", queue, "--hostname", f"{queue}-{os.getpid()}@%h"]
    scale = ["--pool", POOLS[queue], "--autoscale", autoscale]
    return [*_celery(), "worker", *options, *scale]


def beat_argv() -> list[str]:
    """Return the command line of beat; what it remembers is the app's setting."""
    return [*_celery(), "beat"]


def _celery() -> list[str]:
    return [sys.executable, "-m", "celery", "-q", "-A", "tasks"]
