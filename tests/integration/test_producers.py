"""The producers of docs/producers.md, run as they stand there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.stack import Stack
from support.waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs" / "producers.md"
#: Seconds for a program that sends two commands, on two busy cores.
LIMIT_S = 60
#: What runs the block of a language, the end of its file's name, and what it makes of an exam.
RUNNERS = {
    "python": (sys.executable, ".py", ("algebra-1", "pass")),
    "javascript": ("node", ".mjs", ("geometry-1", "fail")),
    "sh": ("sh", ".sh", ("history-1", "pass")),
}
#: Programs that the machine need not have.
NEEDED = {"javascript": "node", "sh": "redis-cli"}


def block(language: str, stack: Stack) -> str:
    """Take a program from the page, and let it speak to this system."""
    texts: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    [text] = texts
    socket = stack.settings.redis.removeprefix("unix://").partition("?")[0]
    here = text.replace("var/redis/redis.sock", socket).replace("http://127.0.0.1:8080", stack.url)
    assert here != text
    return here


@pytest.mark.parametrize("language", RUNNERS)
def test_producer(stack: Stack, tmp_path: Path, language: str) -> None:
    """It starts an exam and reports its result; when it is run again, nothing happens twice."""
    if not shutil.which(NEEDED.get(language, sys.executable)):
        pytest.skip(f"there is no {NEEDED[language]} on this machine")
    runner, ending, (pk, status) = RUNNERS[language]
    program = tmp_path / f"producer{ending}"
    program.write_text(block(language, stack))

    for _ in range(2):
        done = subprocess.run(
            [runner, str(program)], capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        assert 0 == done.returncode, done.stderr

    wait_until(lambda: stack.has_status(pk, status), saying=f"{pk} is {status}")
    wait_until(lambda: is_done(stack, pk), saying="all that was sent is in the history")
    applied = [record for record in history(stack, pk) if record["verdict"] == "applied"]
    assert ["exam.start", "exam.finish"] == [record["type"] for record in applied]
    assert {"applied", "duplicate"} >= {record["verdict"] for record in history(stack, pk)}


def history(stack: Stack, pk: str) -> list[dict[str, str]]:
    """What came in for an exam, and what it did."""
    records: list[dict[str, str]] = stack.document(pk)["history"]
    return records


def is_done(stack: Stack, pk: str) -> bool:
    """Over HTTP a key that was sent before makes no second entry; on the stream an id does."""
    return len(history(stack, pk)) == (2 if pk == "geometry-1" else 4)
