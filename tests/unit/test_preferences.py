"""What a client prefers."""

import pytest

from ingest.preferences import wait_s


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ([], 0),
        (["wait=5"], 5),
        (["WAIT = 5"], 5),
        (['wait="5"'], 5),
        (["respond-async, wait=5"], 5),
        (["respond-async", "wait=5"], 5),
        (["wait=5; because=slow"], 5),
        (["wait=0"], 0),
        (["wait=99999"], 30),
        (["wait=5, wait=7"], 5),
        (["wait=x, wait=7"], 0),
        (["wait"], 0),
        (["wait=-1"], 0),
        (["wait=1.5"], 0),
        (["wait=²"], 0),
        (["wait=" + "9" * 5000], 0),
        (["waiting=5"], 0),
        (["return=minimal"], 0),
        ([",;=,"], 0),
    ],
)
def test_wait(given: list[str], seconds: int) -> None:
    """The first wait counts, up to the longest; what is no wait is ignored."""
    assert seconds == wait_s(given)
