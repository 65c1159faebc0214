"""Invigil: its command line, as a user calls it."""

import json
import subprocess
import sys
from typing import Any


def invigil(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command; it never ends with a traceback."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [sys.executable, "-m", "ops.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def audit(*arguments: object, **options: Any) -> tuple[int, dict[str, Any]]:
    """Audit, and return the exit code and the report."""
    done = invigil("audit", *arguments, "--json", **options)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report
