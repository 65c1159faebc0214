"""
The description against the system: schemathesis asks what the document says, and worse.

It is not collected with the other tests, since it brings libraries of its own: `tox -e contract`.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stack import Stack, running

ROOT = Path(__file__).parent
#: Seconds for all of it, on two busy cores.
LIMIT_S = 400
#: Cases for each call in each phase that makes them up.
CASES = 200
#: Cases that are enough to say that nothing was found.
ENOUGH = 2_000
#: Name of the description as it was served: who asks for it needs a key, too.
DESCRIPTION = "openapi.json"
#: An answer that never ends is not one to wait for; it has tests of its own.
ENDLESS = "/events"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, redis_url: str | None) -> Iterator[Stack]:
    """A system of its own, whose exams end while they are asked about."""
    folder = tmp_path_factory.mktemp("stack")
    # It denies itself again and again, and a 405 is described where a 429 would be answered.
    with running(folder, redis_url=redis_url, mail_every=3600, denied_rate="off") as stack:
        yield stack


def test_nothing_is_found(stack: Stack, tmp_path: Path) -> None:
    """Thousands of calls, right and wrong, one leading to the next: each answer is as described."""
    report = tmp_path / "report.json"
    created = stack.invigil("keys", "create", "--name", "contract", "--scope", "write", "--json")
    token = json.loads(created.stdout)["key"]
    described = stack.get("/openapi.json", Authorization=f"Bearer {token}").body
    report.with_name(DESCRIPTION).write_text(json.dumps(described))
    until = time.monotonic() + LIMIT_S
    made, seeds = 0, itertools.count(1)

    # Mostly once: a walk along the links ends early when two of the same calls have two answers.
    while made < ENOUGH:
        left_s = until - time.monotonic()
        done = ask(stack.url, report, token=token, seed=next(seeds), limit_s=left_s)
        assert 0 == done.returncode, done.stdout[-20_000:]
        made += cases(report)


def ask(
    url: str, report: Path, *, token: str, seed: int, limit_s: float
) -> "subprocess.CompletedProcess[str]":
    """Run schemathesis with all its checks and phases."""
    program = Path(sys.executable).with_name("schemathesis")
    return subprocess.run(
        [
            *(str(program), "--config-file", str(ROOT / "support/schemathesis.toml")),
            *("run", DESCRIPTION, "--url", url, "--no-color", "--continue-on-failure"),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
            *("--max-examples", str(CASES), "--seed", str(seed)),
            *("--exclude-path", ENDLESS),
            *("--report", "json", "--report-json-path", str(report)),
        ],
        cwd=report.parent,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "support.asking",
            "PYTHONPATH": importable(),
            "CONTRACT_KEY": token,
        },
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )


def importable() -> str:
    """Where its hooks are found, before whatever is there already."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def cases(report: Path) -> int:
    """Count the calls that were made."""
    found: Any = json.loads(report.read_text())
    return int(found["test_cases"]["generated"])
