"""The audit keeps what is open, not what was seen."""

from pathlib import Path

import pytest

from ops.audit.audit import Audit
from ops.audit.opening import opened
from ops.audit.paths import find
from ops.bench.log_lines import System

LINES = 20_000


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of a system at work, of several files that are read side by side."""
    folder = tmp_path_factory.mktemp("logs")
    for _ in System(folder).run(LINES):
        pass
    return folder


def test_nothing_is_kept_of_what_is_done(logs: Path) -> None:
    """
    When all has been decided no command and no task is open.

    Also those whose verdict was read before the line that gave them to a task: a worker's file may
    be ahead of the dispatcher's.
    """
    audit = Audit()
    with opened(find([str(logs)])) as (inputs, advance):
        for block in inputs.blocks(advance):
            audit.take(block)

    ledger = audit.ledger
    tasks = ledger._tasks
    assert audit.lines >= LINES
    assert not ledger._exams
    assert not ledger._others
    assert not tasks._open
    assert not tasks._task_of
