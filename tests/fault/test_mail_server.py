"""The mail server is away: the digest waits, and goes out by itself."""

import subprocess
import sys
from pathlib import Path

from support.metrics import value
from support.stack import Stack, running
from support.waiting import wait_until

from ops.preflight import free_port

#: What beat says when it asks for a digest.
ASKED = "Scheduler: Sending due task digest (tasks.mail)"


def counted(stack: Stack, name: str, **labels: str) -> float:
    """Say what a counter of the system stands at."""
    return value(str(stack.get("/metrics").body), name, **labels) or 0


def test_mail_server_is_away(tmp_path: Path, redis_url: str | None) -> None:
    """However often it is tried, a process says once that it is away, and once that it is not."""
    port = free_port("127.0.0.1")
    url = f"smtp://127.0.0.1:{port}"
    with running(tmp_path, redis_url=redis_url, mail_every=1, smtp_url=url) as stack:
        wait_until(lambda: len(stack.lines(ASKED)) > 3, saying="tried in vain")
        wait_until(lambda: stack.lines("unavailable", what="mail"), saying="it is said")
        assert not stack.lines("mail_sent")
        said = stack.lines("unavailable", what="mail")
        assert len({line["pid"] for line in said}) == len(said)
        assert 1 <= counted(stack, "invigil_mails_total", outcome="failed")
        assert 1 <= counted(stack, "invigil_task_retries_total", task="tasks.mail")
        assert 0 == counted(stack, "invigil_mails_total", outcome="sent")
        command = [sys.executable, "-m", "ops.cli", "sink", "--port", str(port)]
        env = {**stack.env, "INVIGIL_PART": "late-sink"}
        sink = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: stack.lines("mail_sent"), saying="a mail went out")
            wait_until(lambda: stack.lines("available", what="mail"), saying="it is said")
            assert 1 <= counted(stack, "invigil_mails_total", outcome="sent")
        finally:
            sink.terminate()
            sink.wait(20)
