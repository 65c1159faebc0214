"""What is said of a thing that is away."""

import os

import pytest
from structlog.testing import capture_logs

from ops import outage
from ops.outage import LONGEST_RETRY_S, Outage

GONE = OSError(28, "No space left on device")


def test_each_change_is_said_once() -> None:
    """However often it fails, one line; however often it works, one more, with the number."""
    disk = Outage("disk")
    with capture_logs() as lines:
        for _ in range(2):
            disk.ended()
            for _ in range(3):
                disk.went_on(GONE)
            disk.ended()
            disk.ended()

    assert ["unavailable", "available"] * 2 == [line["event"] for line in lines]
    assert [None, 3, None, 3] == [line.get("failures") for line in lines]
    assert {"disk"} == {line["what"] for line in lines}
    assert (str(GONE), "OSError") == (lines[0]["error"], lines[0]["error_type"])


def test_waits_grow_and_begin_anew() -> None:
    """Each wait is twice as long up to the longest; after a success they are short again."""
    disk = Outage("disk")
    with capture_logs():
        first_s = disk.went_on(GONE)
        waits_s = [disk.went_on(GONE) for _ in range(9)]
        disk.ended()
        again_s = disk.went_on(GONE)

    assert 2 * first_s == waits_s[0]
    assert LONGEST_RETRY_S == waits_s[-1]
    assert first_s == again_s


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # other tests' threads, at the fork
def test_forked_process_says_what_it_meets() -> None:
    """A pool's process does not take its parent's outage for its own."""
    with capture_logs():
        outage.DISK.went_on(GONE)
    try:
        child = os.fork()
        if not child:
            os._exit(outage.DISK.is_away)
        _, status = os.waitpid(child, 0)
        assert 0 == os.waitstatus_to_exitcode(status)
        assert outage.DISK.is_away
    finally:
        outage.DISK.forget()
