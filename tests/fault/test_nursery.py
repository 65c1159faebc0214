"""Parts come from a process that has imported already, and do not depend on it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.stack import Stack
from support.waiting import wait_until

from ops import keys
from ops.nursery import Away, Nursery, Request

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans over")

#: The parts that come from it; gevent changes modules before they are used.
BORN = ("worker-exam", "worker-mail", "dispatcher", "gateway", "beat")


def command_of(pid: int) -> str:
    """Read a process' command line; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def children(stack: Stack) -> list[int]:
    """List the children of `up`."""
    pid = stack.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def nursery(stack: Stack) -> list[int]:
    """Find the nursery: it looks like its children, and is no part."""
    parts = {line["pid"] for line in stack.lines("part_ready")}
    return [
        pid for pid in children(stack) if pid not in parts and "ops.fork_server" in command_of(pid)
    ]


def dead(stack: Stack) -> list[int]:
    """List children of `up` that have died and that nobody has waited for."""
    states = {pid: Path(f"/proc/{pid}/stat") for pid in children(stack)}
    return [pid for pid, path in states.items() if ") Z " in path.read_text()]


def test_parts_are_born(stack: Stack) -> None:
    """They are `up`'s own children, each in a session of its own, under the part's name."""
    assert nursery(stack)
    for part in BORN:
        pid = stack.pid(part)
        assert "ops.fork_server" in command_of(pid)
        assert pid in children(stack)
        assert pid == os.getsid(pid)
        assert part == Path(f"/proc/{pid}/comm").read_text().strip()
    assert "gevent" in command_of(stack.pid("worker-slow"))


def test_killed_nursery(stack: Stack) -> None:
    """Without it all parts live on, and the next one that is started has a new one."""
    parts = {part: stack.pid(part) for part in BORN}
    [old] = nursery(stack)
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not command_of(old), saying="it is gone")
    assert parts == {part: stack.pid(part) for part in BORN}

    stack.kill_part("dispatcher")

    data = json.dumps({"pk": "born"})
    stack.redis().xadd(keys.COMMANDS, {"type": "exam.start", "data": data})
    wait_until(lambda: stack.document("born"), saying="it is started")
    wait_until(lambda: stack.pid("dispatcher") != parts["dispatcher"], saying="a new one")
    assert "ops.fork_server" in command_of(stack.pid("dispatcher"))
    assert [old] != nursery(stack) != []


def test_nobody_stays_unburied(stack: Stack) -> None:
    """Those whose parent was killed are handed to `up`, which buries them."""
    pid = stack.pid("worker-exam")
    [child, *_] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    stack.kill_part("worker-exam")

    wait_until(lambda: not command_of(int(child)), saying="its child is gone")
    wait_until(lambda: stack.pid("worker-exam") != pid, saying="there is a new one")
    wait_until(lambda: not dead(stack), saying="all are buried")


def test_nobody_outlives_up(stack: Stack, tmp_path: Path) -> None:
    """A process that came from it ends with the one that asked for it, however that ends."""
    script = """
import asyncio, os, signal, sys
from pathlib import Path
from ops.nursery import Nursery, Request

async def main():
    nursery = Nursery()
    await nursery.ready(os.environ)
    argv = [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"]
    request = Request(name="child", argv=argv, env=dict(os.environ), cwd=str(Path.cwd()),
                      parent=os.getpid(), end_with=int(signal.SIGKILL))
    print(nursery.bear(request, output=2), flush=True)

asyncio.run(main())
signal.pause()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=stack.env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    with process.stdout:
        pid = int(process.stdout.readline())
        wait_until(lambda: Path(f"/proc/{pid}/comm").read_text() == "child\n", saying="it is there")
        process.kill()
        process.wait()

    wait_until(lambda: not command_of(pid), saying="it is gone, too")


def test_none() -> None:
    """Where there is no nursery the caller is told to start the part on its own."""
    alone = Nursery()
    request = Request(name="a", argv=["a"], env={}, cwd="/", parent=os.getpid(), end_with=9)

    with pytest.raises(Away):
        alone.bear(request, output=1)
    alone.close()
