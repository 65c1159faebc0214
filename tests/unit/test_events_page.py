"""The page about log lines, which is made from the vocabulary."""

import json
from pathlib import Path

import pytest

from ops.events import Event
from ops.events_page import EXAMPLES, page
from ops.glossary import KEYS
from ops.grammar import check

PAGE = Path(__file__).parents[2] / "docs/events.md"


def test_page_is_what_the_vocabulary_says() -> None:
    """The page is as `python -m ops.events_page` makes it."""
    assert page() == PAGE.read_text(encoding="utf-8")


def test_everything_is_explained() -> None:
    """Every event and every key has a row, and no row is broken by what stands in it."""
    rows = [line for line in page().splitlines() if line.startswith("| ")]

    assert {f"`{name}`" for name in (*Event, *KEYS)} <= {row.split(" | ")[0][2:] for row in rows}
    assert {6, 3} == {row.count("|") for row in rows}


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_lines(example: str) -> None:
    """The examples are as the vocabulary has them, in the order in which the log writes keys."""
    line = json.loads(example)

    assert [] == check(line)
    assert ["ts", "event", "part", "pid"] == list(line)[:4]
