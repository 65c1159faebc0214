"""Many commands from one file through a whole system: each is applied, once."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from support.stack import Stack
from support.waiting import wait_until

#: How many; a hundred thousand take some minutes.
COMMANDS = int(os.environ.get("BULK_COMMANDS", "3000"))
#: Seconds for a slow and busy machine.
LIMIT_S = 60 + COMMANDS / 100


def send(stack: Stack, file: Path) -> "subprocess.CompletedProcess[str]":
    """Send the file as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", "send", "--file", str(file), "--url", stack.url],
        env=stack.env,
        cwd=file.parent,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def verdicts(stack: Stack) -> Counter[tuple[str, str]]:
    """How often exams of this status have a verdict in their history."""
    documents = [
        json.loads(path.read_text()) for path in stack.settings.exams.glob("*/bulk-*.json")
    ]
    return Counter((one["status"], fact["verdict"]) for one in documents for fact in one["history"])


def test_all_applied_once(stack: Stack, tmp_path: Path) -> None:
    """Every command of a file is applied; a second run of the same file changes nothing."""
    pks = [f"bulk-{number}" for number in range(COMMANDS // 2)]
    starts = [{"type": "exam.start", "data": {"pk": pk, "duration": 604800}} for pk in pks]
    results = [{"type": "exam.finish", "data": {"pk": pk, "status": "pass"}} for pk in pks]
    file = tmp_path / "commands.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in [*starts, *results]))
    count = len(starts) + len(results)
    applied = {("pass", "applied"): count}

    first = send(stack, file)
    wait_until(stack.is_done, timeout_s=LIMIT_S, saying="all are applied")
    assert verdicts(stack) == applied
    second = send(stack, file)
    wait_until(stack.is_done, timeout_s=LIMIT_S, saying="all came twice")
    assert verdicts(stack) == {**applied, ("pass", "duplicate"): count}

    for done in (first, second):
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{count} taken, 0 refused\n"
    accepted = Counter(line["command_id"] for line in stack.lines("accepted"))
    assert 0 < len(stack.lines("bulk_accepted")) < count / 10
    assert set(accepted.values()) == {2}
    assert len(accepted) == count
