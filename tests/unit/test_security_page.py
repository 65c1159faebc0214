"""docs/security.md: each attack has a test, and each test that it names exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)::(test_[a-z0-9_]+)`")


def functions_of(path: str) -> set[str]:
    """Names of the test functions of a file."""
    syntax = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {
        node.name
        for node in syntax.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_test_exists() -> None:
    """No row promises a test that there is not."""
    named = NAMED.findall(PAGE)

    assert [] == [f"{path}::{name}" for path, name in named if name not in functions_of(path)]
    assert PAGE.count("::test_") == len(named)


def test_every_attack_has_a_test() -> None:
    """A row of the table names an attack, a defence, and a test at least."""
    table = PAGE.partition("| attack |")[2].partition("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines()[2:]]

    assert len(rows) > 15
    assert [] == [row for row in rows if len(row) != 3 or not NAMED.search(row[2])]
