"""The page about problems, which is made from their table and the guide to them."""

from pathlib import Path

from ingest.problems import TABLE
from ingest.problems_page import page

PAGE = Path(__file__).parents[2] / "docs/problems.md"


def test_page_is_what_the_table_says() -> None:
    """The page is as `python -m ingest.problems_page` makes it."""
    assert page() == PAGE.read_text(encoding="utf-8")


def test_each_problem_has_a_section() -> None:
    """Every problem has a heading, with its status and title below it, and an example."""
    for name, (status, title) in TABLE.items():
        assert f"\n## {name}\n\n{status}, *{title}*.\n" in page()
        assert f'"type": "urn:invigil:problem:{name}"' in page()
