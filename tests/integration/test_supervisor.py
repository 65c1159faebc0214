"""The supervisor, with parts that are a few lines of Python each."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.hygiene import shorten

#: Runs the stages in argv[1] as `up` does: {"name": ..., "code": ..., and fields of Part}.
DRIVER = """
import asyncio, json, os, signal, sys
from pathlib import Path
from ops import log, output
from ops.part import Part
from ops.settings import Settings
from ops.supervisor import Supervisor

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it: nohup(1)
settings = Settings.read(data=os.getcwd(), log_format="json")
log.configure(settings, part="up")
stages = [
    [
        Part(argv=(sys.executable, "-c", part.pop("code")), env=os.environ, cwd=Path.cwd(),
             log=Path(part["name"] + ".jsonl"), **{"grace_s": 5, **part})
        for part in stage
    ]
    for stage in json.loads(sys.argv[1])
]
ends = json.loads(sys.argv[3])

async def main():
    def on_ready():
        output.show_json("up", [b"all ready"])
    limit_s = float(sys.argv[2])
    return await Supervisor(
        stages, ends=ends, show=output.show_json, on_ready=on_ready, ready_limit_s=limit_s
    ).run()

end = asyncio.run(main())
print(json.dumps({"reason": end.reason}))
sys.exit(end.code)
"""

#: A part that says when it begins, is ready at once, and says when it ends.
POLITE = """
import signal, sys, time
from ops.notify import ready
def end(*_):
    print("ends", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("begins", flush=True)
ready()
while True:
    signal.pause()
"""
SLOW_TO_START = "import time\ntime.sleep(0.5)" + POLITE
#: A part that is killed, and has a process that speaks, and ends, a moment later.
OUTLIVED = """
import os, signal, time
from ops.notify import ready
parent = os.getpid()
if os.fork() == 0:
    os.setsid()
    while os.getppid() == parent:
        time.sleep(0.01)
    time.sleep(0.2)
    print("the last one", flush=True)
else:
    ready()
    time.sleep(0.1)
    os.kill(parent, signal.SIGKILL)
"""
#: A part that ignores SIGTERM, and has a child that does so too.
STUBBORN = """
import os, signal
from ops.notify import ready
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print(f"child {child}", flush=True)
    ready()
while True:
    signal.pause()
"""
CRASHING = """
import os, signal
from ops.notify import ready
ready()
os.kill(os.getpid(), signal.SIGKILL)
"""
TALKING = (
    """
import sys
from ops.notify import ready
sys.stdout.write("x" * 1_000_000 + "\\n")
print('{"event": "mine"}')
print("[1, 2]")
print('{"not": NaN}')
sys.stdout.flush()
sys.stdout.buffer.write(b"\\xff\\n")
sys.stdout.write("no end of line")
"""
    + POLITE
)

Line = dict[str, Any]


class Stack:
    """A supervisor in a process of its own, and what it has printed but for its log's own lines."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[Line] = []

    def read_until(self, fact: Callable[[Line], bool]) -> Line:
        """Read lines until one for which *fact* holds. Each of them must be a JSON object."""
        assert self.process.stdout
        for text in self.process.stdout:
            line = json.loads(text)
            assert isinstance(line, dict)
            if str(line.get("event")).startswith("log_"):
                continue
            self.lines.append(line)
            if fact(line):
                return line
        raise AssertionError(f"the output ended; it was {self.lines}")

    def until_ready(self) -> None:
        """Read until all parts are ready."""
        self.read_until(lambda line: line.get("text") == "all ready")

    def end(self, *signals: signal.Signals) -> int:
        """Send *signals*, one after the other has shown an effect; return the exit code."""
        for at, number in enumerate(signals):
            if at:
                self.read_until(lambda line: line["event"] == "part_stopping")
            self.process.send_signal(number)
        with contextlib.suppress(AssertionError):
            self.read_until(lambda _: False)
        return self.process.wait(10)

    def said(self, text: str) -> list[str]:
        """Names of the parts that printed *text*, in order."""
        return [line["part"] for line in self.lines if line.get("text") == text]


@contextlib.contextmanager
def stack(
    folder: Path, *stages: list[Line], limit_s: float = 20, ends: list[list[str]] | None = None
) -> Iterator[Stack]:
    """Run *stages*, and kill what is left in the end. They end in reverse, or as *ends* says."""
    order = ends or [[one["name"] for one in stage] for stage in reversed(stages)]
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, json.dumps(stages), str(limit_s), json.dumps(order)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Stack(process)
        finally:
            process.kill()


def part(name: str, code: str, **fields: object) -> Line:
    """Describe a part for the driver."""
    return {"name": name, "code": textwrap.dedent(code), **fields}


def lives(pid: int) -> bool:
    """Whether a process with this id is there, and is more than its exit status."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_next_stage_waits_for_readiness(tmp_path: Path) -> None:
    """A stage starts when every part of the one before has said that it is ready."""
    first = [part("redis", SLOW_TO_START), part("sink", POLITE)]
    with stack(tmp_path, first, [part("gateway", POLITE)]) as up:
        up.until_ready()

        assert up.said("begins") == ["sink", "redis", "gateway"]
        assert up.end(signal.SIGTERM) == 0


def test_end_is_in_order(tmp_path: Path) -> None:
    """Parts end in an order of their own, whenever they were started."""
    first = [part("redis", POLITE), part("worker", POLITE), part("dispatcher", POLITE)]
    ends = [["gateway"], ["dispatcher"], ["worker"], ["redis"]]
    with stack(tmp_path, first, [part("gateway", POLITE)], ends=ends) as up:
        up.until_ready()

        assert up.end(signal.SIGINT) == 0
        assert up.said("ends") == ["gateway", "dispatcher", "worker", "redis"]


def test_each_part_has_a_place_in_the_end(tmp_path: Path) -> None:
    """A part that nobody would end is a mistake, and said before anything starts."""
    with stack(tmp_path, [part("redis", POLITE)], ends=[["gateway"]]) as up:
        assert up.end() == 1
        assert not up.lines


def test_crashed_part_starts_again(tmp_path: Path) -> None:
    """A part that dies is started again, after a pause that doubles."""
    with stack(tmp_path, [part("worker", CRASHING)]) as up:
        exits = [up.read_until(lambda line: line["event"] == "part_exited") for _ in range(3)]

        assert [line["restart_in_s"] for line in exits] == [0.2, 0.4, 0.8]
        assert {line["status"] for line in exits} == {"SIGKILL"}
        assert up.end(signal.SIGTERM) == 0


def test_last_lines_are_shown(tmp_path: Path) -> None:
    """What is written while a part ends is shown before its end is told, and it starts again."""
    with stack(tmp_path, [part("worker", OUTLIVED)]) as up:
        up.read_until(lambda line: line["event"] == "part_exited")

        assert up.said("the last one") == ["worker"]
        assert up.end(signal.SIGTERM) == 0


def test_part_is_killed_after_its_grace(tmp_path: Path) -> None:
    """A part that ignores SIGTERM is killed after its grace, with the processes it started."""
    with stack(tmp_path, [part("worker", STUBBORN, grace_s=0.3)]) as up:
        child = up.read_until(lambda line: line.get("text", "").startswith("child"))
        up.until_ready()

        assert up.end(signal.SIGTERM) == 0
        killed = [line["part"] for line in up.lines if line.get("event") == "part_killed"]
        assert killed == ["worker"]
        assert not lives(int(child["text"].removeprefix("child ")))


def test_second_signal_kills(tmp_path: Path) -> None:
    """A second Ctrl-C does not wait: everything is killed at once, and the exit code is 130."""
    parts = [part("redis", POLITE, last_words_s=1), part("worker", STUBBORN, grace_s=60)]
    with stack(tmp_path, parts[:1], parts[1:]) as up:
        up.until_ready()
        began = time.monotonic()

        assert up.end(signal.SIGINT, signal.SIGINT) == 130
        assert time.monotonic() - began < 30
        assert up.said("ends") == ["redis"]


def test_hang_up_twice_is_an_end_in_order(tmp_path: Path) -> None:
    """A terminal that closes sends SIGHUP more than once: that is no second Ctrl-C."""
    with stack(tmp_path, [part("worker", STUBBORN, grace_s=0.3)]) as up:
        up.until_ready()

        assert up.end(signal.SIGHUP, signal.SIGHUP) == 0


def test_every_line_is_json(tmp_path: Path) -> None:
    """What a part prints is passed on if it is a JSON object; else it is wrapped, and cut."""
    with stack(tmp_path, [part("worker", TALKING)]) as up:
        up.read_until(lambda line: line.get("text") == "no end of linebegins")
        texts = [line.get("text", line["event"]) for line in up.lines if line["event"] != "x"]

        assert texts[:5] == [
            shorten("x" * 1_000_000),
            "mine",
            "[1, 2]",
            '{"not": NaN}',
            "\N{REPLACEMENT CHARACTER}",
        ]
        assert up.end(signal.SIGTERM) == 0


def test_bad_settings_end_everything(tmp_path: Path) -> None:
    """A part that refuses its settings is not tried again: all others end, exit code 2."""
    with stack(tmp_path, [part("redis", POLITE)], [part("gateway", "raise SystemExit(2)")]) as up:
        assert up.end() == 2
        assert up.said("ends") == ["redis"]
        assert "gateway" in up.lines[-1]["reason"]


def test_part_that_is_not_ready_ends_everything(tmp_path: Path) -> None:
    """A part that is not ready in time is named with its log, and everything ends."""
    mute = part("worker", "import time\ntime.sleep(60)")
    with stack(tmp_path, [part("redis", POLITE)], [mute], limit_s=2) as up:
        assert up.end() == 1
        assert up.lines[-1]["reason"] == "not ready after 2 s: worker (see worker.jsonl)"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a child of its parent's end")
def test_parts_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """The supervisor is killed with -9: its parts do not outlive it."""
    code = "import os\nprint(os.getpid(), flush=True)" + POLITE
    with stack(tmp_path, [part("worker", code)]) as up:
        pid = int(up.read_until(lambda line: line.get("text", "").isdigit())["text"])
        up.until_ready()
        up.process.kill()

        deadline = time.monotonic() + 5
        while lives(pid):
            assert time.monotonic() < deadline, "the part lives on"


def test_end_during_the_start(tmp_path: Path) -> None:
    """A signal before all parts are ready ends those that were started, in order."""
    mute = part("worker", "import time\nprint('waits', flush=True)\ntime.sleep(60)")
    with stack(tmp_path, [part("redis", POLITE)], [mute], [part("gateway", POLITE)]) as up:
        up.read_until(lambda line: line.get("text") == "waits")

        assert up.end(signal.SIGTERM) == 0
        assert up.said("begins") == up.said("ends") == ["redis"]
