"""Index: which exams there are and where they stand, without reading their files."""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from filestore.backlog import Backlog, pk_of
from filestore.document import from_document
from filestore.exam import Exam
from filestore.fact import Status
from filestore.row import Row, row_of
from filestore.table import Table, Unready, try_lock

#: Seconds for which `Index.prepare` waits for a list that is being made. It is made in any case.
PATIENCE_S = 1.0
#: Seconds between two looks at what another process is doing, or at a disk that is away.
LOOK_S = 0.5
#: Files read between two writes to the table.
BATCH = 200
#: Seconds for which a save waits for others who use the table. They need milliseconds; one that was
#: stopped in the middle must not hold up every exam.
PUT_WAIT_S = 0.03


class Index:
    """
    The list of exams under *root*, and how it is made from their files when there is none.

    *path* tells an exam's file.

    Whoever saves an exam writes its file first, then its row here; a crash between the two leaves
    the row behind until the command comes again, which it must.
    """

    def __init__(self, root: Path, *, path: Callable[[str], Path], boot: str | None = None) -> None:
        self._root = root
        self._path = path
        self._table = Table(root)
        self._backlog = Backlog(root / ".index.late")
        self._boot = _boot() if boot is None else boot
        self._filling: threading.Thread | None = None

    def prepare(self) -> None:
        """
        See that the list is whole. One that takes longer than a moment is made by a thread.

        Raises:
            OSError: The disk did not say whether it is.
        """
        if self._backlog.notes() or not _is_whole(self._table, self._boot):
            self._start()
            self.join(PATIENCE_S)

    def join(self, timeout_s: float) -> bool:
        """Wait for this process' thread; whether there is none at work any more."""
        if self._filling:
            self._filling.join(timeout_s)
        return not (self._filling and self._filling.is_alive())

    def put(self, exam: Exam) -> None:
        """
        Write where an exam stands, or note that a thread is to do it, if others use the table.

        Call under its lock, when its file is on the disk.

        Raises:
            OSError: The disk did not take it.
        """
        try:
            is_short = self._table.put([row_of(exam)], boot=self._boot, wait_s=PUT_WAIT_S)
        except TimeoutError:
            self._backlog.add(exam.pk)
            is_short = True
        if is_short or self._backlog.notes():  # of others, perhaps, who were killed
            self._start()

    def page(
        self,
        *,
        status: Status | None = None,
        since_ms: int = 0,
        before: tuple[int, str] | None = None,
        limit: int,
    ) -> list[Row]:
        """
        List exams, newest first by (started_ms, pk).

        Args:
            since_ms: Those that started then or later.
            before: Those behind this one in the list.

        Raises:
            Unready: The list is being made.
            OSError: The disk did not give it.
        """
        return self._table.page(status=status, since_ms=since_ms, before=before, limit=limit)

    def counts(self) -> dict[Status, int]:
        """Count the exams of each status, without a scan; raises as `page` does."""
        return self._table.counts()

    def _start(self) -> None:
        if self.join(0):
            self._filling = threading.Thread(target=self._catch_up, daemon=True)
            self._filling.start()

    def _catch_up(self) -> None:
        """Work off the backlog, and fill the table or wait for whoever does, until it is right."""
        while True:
            try:
                if _is_whole(self._table, self._boot):
                    if not self._work_off():
                        return
                    continue
                with self._turn() as is_ours:
                    if is_ours:
                        self._fill()
                        continue
            except (OSError, Unready):
                pass  # away, in use, or made anew by somebody who found it damaged: look again
            time.sleep(LOOK_S)

    def _work_off(self) -> bool:
        """Write the rows of some noted exams; whether there were any."""
        if not (notes := self._backlog.notes()[:BATCH]):
            return False
        pks = {pk_of(note) for note in notes}
        # Read while nobody else writes: who saves one of them now has its row written afterwards.
        self._table.put(_rows(map(self._path, pks)), boot=self._boot)
        for note in notes:
            self._backlog.remove(note)
        return True

    def _fill(self) -> None:
        """
        Read every file into the table.

        Writers are not held up, and what they write meanwhile stays. One that wrote to a table
        before this one was made had its file in place by then: it is read here.
        """
        token = self._table.begin(self._boot)
        paths = self._root.glob("[0-9a-f][0-9a-f]/*.json")
        while some := list(islice(paths, BATCH)):
            self._table.fill(list(_rows(some)), token=token)  # read before it is locked
        self._table.finish(token=token)

    @contextmanager
    def _turn(self) -> Iterator[bool]:
        """Try to be the one who fills it."""
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._root / ".index.turn", flags, 0o640)
        is_ours = try_lock(descriptor, fcntl.LOCK_EX)
        try:
            yield is_ours
        finally:
            if is_ours:
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child of a fork may have it open, too
            os.close(descriptor)


def _is_whole(table: Table, boot: str) -> bool:
    try:
        return table.is_whole(boot)
    except Unready:
        return False


def _rows(paths: Iterable[Path]) -> Iterator[Row]:
    """Read files; what is no document gets its row when it is one."""
    for path in paths:
        with suppress(FileNotFoundError, ValueError, RecursionError):
            yield row_of(from_document(json.loads(path.read_bytes()), pk=path.stem))


def _boot() -> str:
    """
    Name this start of the machine.

    Where nobody says so each process has a name of its own: then the list is made anew more often
    than need be, rather than trusted after a power cut.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"unknown-{os.getpid()}-{time.time_ns()}"
