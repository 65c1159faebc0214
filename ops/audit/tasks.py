"""Tasks: which Celery task has which command to do, and which of them never ended."""

from ops.audit.findings import Findings
from ops.audit.recent import Recent


class Tasks:
    """Tasks that are open: given commands that are not done, or not said to have ended."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._open: dict[str, int] = {}
        self._done: Recent[int] = Recent(forget=self._forget)
        self._task_of: dict[str, str] = {}

    def of(self, entry: str) -> str | None:
        """Name the task that has a command to do."""
        return self._task_of.get(entry)

    def given(self, entry: str, task_id: str) -> None:
        """Note that a task has a command to do; the one that had it before is rid of it."""
        if entry in self._task_of:
            self.done(entry)
        self._task_of[entry] = task_id
        count = self._open.get(task_id)
        if count is None:
            count = self._done.pop(task_id) or 0
        self._open[task_id] = count + 1

    def done(self, entry: str) -> None:
        """Note that a command needs no task any more."""
        task_id = self._task_of.pop(entry, None)
        if task_id is None:
            return
        count = self._open.get(task_id, 0) - 1
        if count > 0:
            self._open[task_id] = count
        elif self._open.pop(task_id, None) is not None:
            self._done.put(task_id, 0)

    def ended(self, task_id: str) -> None:
        """Note that a task has said that it ended."""
        if task_id not in self._open:
            self._done.pop(task_id)

    def end(self) -> None:
        """Note the tasks that never said that they ended, and whose work is done."""
        self._done.clear()

    def _forget(self, task_id: str, _count: int) -> None:
        self._findings.noted("made up for", f"task {task_id}")
