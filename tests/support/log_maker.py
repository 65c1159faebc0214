"""Log maker: logs as the product writes them, line by line, for an audit to read."""

import json
from pathlib import Path
from typing import Any

from filestore.document import iso
from ops.chain import Chain

#: When made-up things happen, in milliseconds since 1970.
T0 = 1_795_500_000_000


class LogMaker:
    """
    One process' log file.

    Attributes:
        is_bulk: Whether commands come in with a body of many.
    """

    def __init__(self, path: Path, *, part: str = "worker-exam", pid: int = 7) -> None:
        """Open the file, and the chain with it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.part, self.pid = part, pid
        self.chain = Chain()
        self.is_bulk = False
        self.write(T0, "log_opened", file=path.name, after=None, ended=[])

    def write(self, now_ms: int, event: str, /, **keys: Any) -> None:
        """Write a line at its place in the chain."""
        head = {"ts": iso(now_ms), "event": event, "part": self.part, "pid": self.pid}
        line = json.dumps(self.chain.placed({**head, **keys})).encode()
        self.chain.add(line)
        with self.path.open("ab") as file:
            file.write(line + b"\n")

    def close(self, at_ms: int = T0 + 10_000_000) -> None:
        """Write the last line."""
        self.write(at_ms, "log_closed", ended=[])

    def came_in(self, pk: str, name: str, at_ms: int, *, task: str = "task-1") -> str:
        """Let a command come in and be given to a task; return its entry."""
        entry = f"{at_ms}-0"
        ids = {"pk": pk, "command_id": f"c-{at_ms}", "entry": entry, "type": name}
        if self.is_bulk:
            lists = {"pks": [pk], "command_ids": [ids["command_id"]], "entries": [entry]}
            self.write(at_ms, "bulk_accepted", type=name, **lists)
        else:
            self.write(at_ms, "accepted", **ids)
        self.write(at_ms + 1, "dispatched", **ids, task_id=task, redelivered=False)
        return entry

    def done(self, pk: str, name: str, at_ms: int, value: Any, **other: Any) -> None:
        """Let a command that came in at that time be recorded."""
        keys = {
            "pk": pk,
            "command_id": f"c-{at_ms}",
            "entry": f"{at_ms}-0",
            "type": name,
            "at_ms": at_ms,
            "value": value,
            "reason": None,
            "redelivered": False,
            "source": None,
        }
        verdict = other.pop("verdict", "applied")
        self.write(other.pop("now_ms", at_ms + 2), verdict, **keys | other)

    def exam(self, pk: str, *, at_ms: int = T0, seconds: int = 120) -> None:
        """Let an exam be started."""
        self.came_in(pk, "exam.start", at_ms)
        self.done(pk, "exam.start", at_ms, seconds)
        self.write(at_ms + 3, "deadline_set", pks=[pk])

    def result(self, pk: str, at_ms: int, status: str = "pass", **other: Any) -> None:
        """Let a result come in and be recorded."""
        self.came_in(pk, "exam.finish", at_ms)
        self.done(pk, "exam.finish", at_ms, status, **other)

    def expiry(self, pk: str, deadline_ms: int, *, late_ms: int = 1, **other: Any) -> None:
        """Let a deadline fire and its expiry be recorded."""
        at_ms = deadline_ms + late_ms
        keys = {"pk": pk, "entry": f"{at_ms}-0", "deadline_ms": deadline_ms, "late_ms": late_ms}
        self.write(at_ms, "deadline_fired", **keys)
        self.done(pk, "exam.expire", at_ms, deadline_ms, **other)
