"""Stories: what a log tells, and which of the audit's rules it breaks."""

from collections.abc import Callable
from pathlib import Path

from ops.audit.audit import Audit
from ops.audit.inputs import Inputs
from support.log_maker import LogMaker

Story = Callable[[LogMaker], None]


def audit(folder: Path) -> Audit:
    """Audit the log files of a folder."""
    done = Audit()
    for block in Inputs(sorted(folder.glob("*.jsonl")), folder).blocks(lambda _: None):
        done.take(block)
    done.end()
    return done


def broken(folder: Path, story: Story) -> set[str]:
    """Tell a story, and name the rules that it breaks."""
    log = LogMaker(folder / "log.jsonl")
    story(log)
    log.close()
    return set(audit(folder).findings.violations)
