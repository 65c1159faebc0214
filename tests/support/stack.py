"""Stack: the whole system as a user starts it, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import redis

from ops import keys
from ops.audit.wording import singles
from ops.lag import has_unread
from ops.many import MANY
from ops.settings import Settings
from support import users
from support.log_lines import faults
from support.waiting import wait_until

#: Seconds for all parts to be ready, on two busy cores.
START_S = 60
#: Seconds for all parts to end in order; a worker has ten of them for what it is doing.
STOP_S = 45
#: How the names of variables begin that would decide a test.
CALLERS = ("INVIGIL_", "REDIS_URL", "OTEL_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; *body* is parsed when it is JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(slots=True, kw_only=True)
class Stack:
    """A running `invigil up`."""

    settings: Settings
    env: Mapping[str, str]
    process: "subprocess.Popen[bytes]"
    output: Path
    url: str = ""
    _parsed: list[dict[str, Any]] = field(default_factory=list)
    _parsed_of: tuple[Path, int] = (Path(), 0)

    def redis(self) -> redis.Redis:
        """Connect to the stack's Redis, as who may look at all of it."""
        return users.admin(self.settings.redis)

    def lines(self, event: str = "", **keys: object) -> list[dict[str, Any]]:
        """
        Read the lines on standard output so far, by name and values.

        Behind a line about many commands comes, as if it had been written, a line about each.
        """
        self._read_on()
        return [
            line
            for line in self._parsed
            if event in ("", line["event"]) and all(line.get(k) == v for k, v in keys.items())
        ]

    def _read_on(self) -> None:
        """Parse what was added since the last look: who waits looks a hundred times a second."""
        path, offset = self._parsed_of
        if path != self.output:  # the system was started again
            self._parsed, offset = [], 0
        with self.output.open("rb") as file:
            file.seek(offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        if newline:
            for line in map(json.loads, whole.split(b"\n")):
                self._parsed.append(line)
                if line["event"] in MANY:
                    self._parsed += map(dict, singles(line))
            offset += len(whole) + len(newline)
        self._parsed_of = (self.output, offset)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """POST a JSON body, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Content-Type": "application/json", **headers}
        return _ask(urllib.request.Request(self.url + path, data=data, headers=named))

    def get(self, path: str, **headers: str) -> Answer:
        """GET a path, with headers of one word each."""
        return _ask(urllib.request.Request(self.url + path, headers=headers))

    def document(self, pk: str) -> Any:
        """Read an exam's file, found as a user finds it: with a pattern."""
        paths = list(self.settings.exams.glob(f"*/{pk}.json"))
        return json.loads(paths[0].read_text()) if paths else None

    def has_status(self, pk: str, status: str) -> bool:
        """Whether the exam's file has that status."""
        document = self.document(pk)
        return document is not None and document["status"] == status

    def has_deadline(self, pk: str) -> bool:
        """Whether a line says that the exam's deadline was set."""
        return any(pk in line["pks"] for line in self.lines("deadline_set"))

    def invigil(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the command line beside the stack."""
        return subprocess.run(
            [sys.executable, "-m", "ops.cli", *arguments],
            env=self.env,
            cwd=self.output.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def is_done(self) -> bool:
        """Whether nothing is unread or pending: every command's effect is on disk then."""
        with self.redis() as client:
            groups: Any = client.xinfo_groups(keys.COMMANDS)
        return not has_unread(groups) and not any(group["pending"] for group in groups)

    def pid(self, part: str) -> int:
        """Find the process that the part is at present."""
        return int(self.lines("part_ready", part=part)[-1]["pid"])

    def kill_part(self, part: str) -> None:
        """Kill a part's process; it is started again."""
        os.kill(self.pid(part), signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it as Ctrl-C does, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def end(self) -> None:
        """End it as two Ctrl-C do: at once, and with no process left."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        wait_until(self._is_stopping, timeout_s=STOP_S, saying="it began to stop")
        self.process.send_signal(signal.SIGINT)
        self.process.wait(STOP_S)

    def _is_stopping(self) -> bool:
        return self.process.poll() is not None or bool(self.lines("part_stopping", part="up"))


@contextmanager
def running(
    folder: Path,
    *,
    redis_url: str | None,
    variables: Mapping[str, str] | None = None,
    **settings: object,
) -> Iterator[Stack]:
    """
    Start the system on *folder*, wait until it is ready, and end it if the test has not.

    Whatever was done to it, each line that it wrote is as the vocabulary has it. A server that `up`
    does not run is emptied before: one test's exams are not another's.

    Args:
        variables: Of the environment, besides *settings*.
    """
    if redis_url:
        with users.admin(redis_url) as client:
            client.flushall()
    stack = start(folder, redis_url=redis_url, variables=variables, **settings)
    try:
        wait_until_ready(stack)
        yield stack
        assert [] == users.refusals(stack.settings.redis)
    finally:
        stack.end()
    wrong = faults(stack.settings.logs)
    assert not wrong, wrong


def start(
    folder: Path,
    *,
    redis_url: str | None,
    variables: Mapping[str, str] | None = None,
    **settings: object,
) -> Stack:
    """Start `invigil up` without waiting for it."""
    read = Settings(data=folder / "var", redis_url=redis_url)
    if not redis_url:
        users.add_admin(read)
    env = environment(folder / "var", redis_url=redis_url, **settings) | dict(variables or {})
    output = folder / f"out-{len(list(folder.glob('out-*')))}.jsonl"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "ops.cli", "up"],
            env=env,
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Stack(settings=read, env=env, process=process, output=output)


def wait_until_ready(stack: Stack) -> None:
    """Wait for the line that says that all parts are ready."""

    def is_ready() -> bool:
        assert stack.process.poll() is None, stack.output.read_text()[-3000:]
        return bool(stack.lines("up_ready"))

    wait_until(is_ready, timeout_s=START_S, saying="all parts are ready")
    stack.url = stack.lines("up_ready")[-1]["url"]


def environment(data: Path, *, redis_url: str | None, **settings: object) -> dict[str, str]:
    """Make the environment of a stack: nothing of the caller's settings leaks into it."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(CALLERS)}
    given = {f"INVIGIL_{name.upper()}": str(value) for name, value in settings.items()}
    named = users.variables(redis_url)
    return {**own, "INVIGIL_DATA": str(data), "INVIGIL_PORT": "0", **given, **named}


def _ask(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            return _answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        return _answer(error.code, error.headers, error.read())


def _answer(status: int, headers: Message, text: bytes) -> Answer:
    is_json = "json" in headers.get_content_type()
    body = json.loads(text) if is_json and text else text.decode()
    return Answer(status=status, headers=dict(headers.items()), body=body)
