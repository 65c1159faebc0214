"""A worker that Celery has given up ends, rather than hang."""

import subprocess
import sys

import pytest

#: A process that hears one line of a logger, and ends with 0 once no clock is running.
WORKER = """
import logging, sys, threading
from tasks import app
app.GIVEN_UP_S = 0.05
logging.getLogger(sys.argv[1]).log(getattr(logging, sys.argv[2]), "Unrecoverable error: seen")
for clock in threading.enumerate():
    if isinstance(clock, threading.Timer):
        clock.join(30)
"""


@pytest.mark.parametrize(
    ("logger", "level", "code"),
    [
        ("celery.worker", "CRITICAL", 1),
        ("celery.worker", "ERROR", 0),
        ("celery.worker.consumer", "CRITICAL", 0),
        ("celery.beat", "CRITICAL", 0),
    ],
)
def test_given_up(logger: str, level: str, code: int) -> None:
    """It ends with 1 after what Celery calls unrecoverable, and after nothing else."""
    worker = subprocess.run([sys.executable, "-c", WORKER, logger, level], timeout=60, check=False)

    assert code == worker.returncode
