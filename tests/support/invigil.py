"""Invigil: `invigil audit`, as a user calls it, in this process: a hundred times in the tests."""

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from ops.audit.command import group


@dataclass(frozen=True, slots=True)
class Done:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def invigil(*arguments: object, stdin: bytes | None = None) -> Done:
    """Run `invigil audit`; it never ends with a traceback."""
    done = CliRunner().invoke(group, [str(one) for one in arguments], input=stdin)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, done.stdout, done.stderr)


def audit(*arguments: object, stdin: bytes | None = None) -> tuple[int, dict[str, Any]]:
    """Audit, and return the exit code and the report."""
    done = invigil(*arguments, "--json", stdin=stdin)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report
