"""Log lines: a log as a busy system writes it, of any length, without running one."""

import random
from collections.abc import Iterator
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, BinaryIO

from filestore.document import iso
from ops import hygiene
from ops.chain import Chain

#: When the made-up system began, in milliseconds since 1970.
EPOCH_MS = 1_795_418_200_000
#: Milliseconds between two starts, and how long an exam lasts.
EVERY_MS = 5
DURATION_S = 120
#: Processes that write: part, process id, and the file that they share with their like.
WORKERS = 4


class Writer:
    """One process' chain of lines, at the end of its part's file."""

    def __init__(self, part: str, pid: int, file: BinaryIO) -> None:
        self._part = part
        self._pid = pid
        self._file = file
        self._chain = Chain()

    def write(self, now_ms: int, event: str, /, **keys: Any) -> None:
        """Write a line, chained."""
        head = {"ts": iso(now_ms), "event": event, "part": self._part, "pid": self._pid}
        line = hygiene.render(self._chain.placed({**head, **keys, "level": "info"}))
        self._chain.add(line)
        self._file.write(line + b"\n")


class System:
    """A gateway, a dispatcher and some workers, each with a log of its own."""

    def __init__(self, folder: Path, *, seed: int = 1) -> None:
        """Open the files in *folder*."""
        self._chance = random.Random(seed)  # noqa: S311 - no secret is made of it
        parts = ("gateway", "dispatcher", "worker-exam")
        self._files = {part: (folder / f"{part}.jsonl").open("wb") for part in parts}
        self._gateway = Writer("gateway", 101, self._files["gateway"])
        self._dispatcher = Writer("dispatcher", 102, self._files["dispatcher"])
        self._workers = [
            Writer("worker-exam", 110 + n, self._files["worker-exam"]) for n in range(WORKERS)
        ]
        self._all = [self._gateway, self._dispatcher, *self._workers]
        self.lines = 0

    def run(self, most_lines: int) -> Iterator[int]:
        """Write exams until there are so many lines; yield the number so far, now and then."""
        for writer in self._all:
            self._write(writer, EPOCH_MS, "log_opened", file="x.jsonl", after=None, ended=[])
        due: list[tuple[int, int]] = []
        n = at_ms = 0
        while self.lines < most_lines or due:
            at_ms = EPOCH_MS + n * EVERY_MS
            if self.lines < most_lines:
                self._start(at_ms, n)
                heappush(due, (at_ms + self._chance.choice((DURATION_S * 1000, 60_000)), n))
            while due and (due[0][0] <= at_ms or self.lines >= most_lines):
                at, one = heappop(due)
                at_ms = max(at, at_ms)
                self._end(at_ms, one, began_ms=EPOCH_MS + one * EVERY_MS)
            n += 1
            if n % 1000 == 0:
                yield self.lines
        for writer in self._all:
            self._write(writer, at_ms + 10, "log_closed", ended=[])
        for file in self._files.values():
            file.close()
        yield self.lines

    def _start(self, at_ms: int, n: int) -> None:
        self._command(at_ms, n, "exam.start", at_ms=at_ms, value=DURATION_S)

    def _end(self, at_ms: int, n: int, *, began_ms: int) -> None:
        deadline_ms = began_ms + DURATION_S * 1000
        if at_ms < deadline_ms:
            status = self._chance.choice(("pass", "fail"))
            self._command(at_ms, n, "exam.finish", at_ms=at_ms, value=status)
            return
        fired_ms = max(at_ms, deadline_ms + 1)
        entry = f"{fired_ms}-{n}"
        ids = {"pk": f"exam-{n}", "entry": entry, "deadline_ms": deadline_ms}
        late_ms = fired_ms - deadline_ms
        self._write(self._dispatcher, fired_ms, "deadline_fired", **ids, late_ms=late_ms)
        self._command(fired_ms, n, "exam.expire", at_ms=fired_ms, value=deadline_ms)

    def _command(self, now_ms: int, n: int, name: str, *, at_ms: int, value: Any) -> None:
        entry = f"{at_ms}-{n}"
        command = entry if name == "exam.expire" else self._uuid()
        ids = {"pk": f"exam-{n}", "command_id": command, "entry": entry, "type": name}
        trace = {"trace_id": f"{self._chance.getrandbits(128):032x}"}
        task = {"task_id": self._uuid()}
        worker = self._workers[n % WORKERS]
        if name != "exam.expire":
            self._write(self._gateway, now_ms, "accepted", **ids, **trace)
        self._write(
            self._dispatcher, now_ms + 1, "dispatched", **ids, **task, redelivered=False, **trace
        )
        deadline_ms = EPOCH_MS + n * EVERY_MS + DURATION_S * 1000
        did = {"verdict": "applied", "reason": None, "at_ms": at_ms, "value": value}
        did |= {"source": None, "deadline_ms": deadline_ms, "redelivered": False}
        self._write(worker, now_ms + 3, "applied", **ids, **did, **task, task="tasks.exam", **trace)
        event = "deadline_set" if name == "exam.start" else "deadline_deleted"
        self._write(worker, now_ms + 4, event, pks=[f"exam-{n}"], **task)
        self._write(worker, now_ms + 4, "task_ended", **task, took_ms=3, state="SUCCESS")

    def _write(self, writer: Writer, now_ms: int, event: str, /, **keys: Any) -> None:
        writer.write(now_ms, event, **keys)
        self.lines += 1

    def _uuid(self) -> str:
        text = f"{self._chance.getrandbits(128):032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
