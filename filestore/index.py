"""Index: which exams there are and where they stand, without reading their files."""

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from filestore.backlog import Backlog
from filestore.document import from_document
from filestore.fact import Status
from filestore.row import Row, of_line, row_of
from filestore.table import WAIT_S, Table, Unready, try_lock

#: Seconds for which `Index.prepare` waits for a list that is being made. It is made in any case.
PATIENCE_S = 1.0
#: Seconds for which noted exams gather, so that one change of the table is for many of them.
GATHER_S = 0.5
#: Seconds between two looks at what another process is doing, or at a disk that is away.
LOOK_S = 0.5
#: Files read between two writes to the table; and rows that were noted, few of which need that.
BATCH, NOTED = 200, 500
#: Batches that who asks for a list writes at most, and seconds for which it waits for others.
MOST_BATCHES = 20
ASKED_WAIT_S = 0.2


class Index:
    """
    The list of exams under *root*, and how it is made from their files when there is none.

    Whoever saves an exam writes its file first, then a note of its name: a row of its own would
    cost as much as the file, and would have to wait for whoever uses the table. Now and then who
    saves, and always who asks for a list, writes the rows of all that were noted, from the files. A
    crash between file and note leaves the row behind until the command comes again, which it must.

    Args:
        root: The folder with the exams; the index lies there, too.
        path: Tells an exam's file.
        boot: Names this start of the machine; by default the kernel does.
    """

    def __init__(
        self, root: Path, *, path: Callable[[str], Path | str], boot: str | None = None
    ) -> None:
        self._root = root
        self._path = path
        self._table = Table(root)
        self._backlog = Backlog(root / ".index.late")
        self._boot = boot_of_machine() if boot is None else boot
        self._filling: threading.Thread | None = None
        self._gathered = 0.0

    def prepare(self) -> None:
        """
        See that the list is whole. One that takes longer than a moment is made by a thread.

        Raises:
            OSError: The disk did not say whether it is.
        """
        self._freshen()
        if not _is_whole(self._table, self._boot):
            self._start()
            self.join(PATIENCE_S)

    def join(self, timeout_s: float) -> bool:
        """Wait for this process' thread; whether there is none at work any more."""
        if thread := self._filling:
            thread.join(timeout_s)
        return not (thread and thread.is_alive())

    def note(self, *lines: str) -> None:
        """
        Have the rows of exams written before the list is shown. Call when their files are on the
        disk, under their locks.

        Args:
            lines: Of each exam its name; or its row and its file, as `filestore.row.to_line` has
                them, which saves reading that once more.

        Raises:
            OSError: The disk did not take the note.
        """
        self._backlog.add(*lines)
        now = time.monotonic()
        if now >= self._gathered:
            self._gathered = now + GATHER_S
            # Not by a thread: while one reads files, who saves waits for the interpreter's lock
            # after each of its calls. In use or away: there is a next time.
            with suppress(OSError, Unready):
                self._work_off(wait_s=0)

    def page(
        self,
        *,
        status: Status | None = None,
        since_ms: int = 0,
        before: tuple[int, str] | None = None,
        limit: int,
    ) -> list[Row]:
        """
        List exams, newest first by (started_ms, pk), as they stood when it was asked.

        Where the table cannot be written, or is written by somebody all the time, what was saved
        just now may be missing.

        Args:
            since_ms: Those that started then or later.
            before: Those behind this one in the list.

        Raises:
            Unready: The list is being made.
            OSError: The disk did not give it.
        """
        self._freshen()
        return self._table.page(status=status, since_ms=since_ms, before=before, limit=limit)

    def counts(self) -> dict[Status, int]:
        """Count the exams of each status, without a scan; fresh, and raises, as `page` does."""
        self._freshen()
        return self._table.counts()

    def _freshen(self) -> None:
        with suppress(OSError, Unready):
            for _ in range(MOST_BATCHES):
                if not self._work_off(wait_s=ASKED_WAIT_S):
                    return

    def _start(self) -> None:
        if self.join(0):
            self._filling = threading.Thread(target=self._fill_in_turn, daemon=True)
            self._filling.start()

    def _fill_in_turn(self) -> None:
        """Fill it, or wait for whoever does; a disk that is away is waited for."""
        while True:
            try:
                if _is_whole(self._table, self._boot):
                    return
                with self._turn() as is_ours:
                    if is_ours:
                        self._fill()
                        continue
            except (OSError, Unready):
                pass  # away, or made anew by somebody who found it damaged: look again
            time.sleep(LOOK_S)

    def _work_off(self, *, wait_s: float = WAIT_S) -> bool:
        """Write the rows of some noted exams; whether there were any."""
        lines: dict[str, str] = {}
        notes: list[str] = []
        for note in self._backlog.notes():
            lines.update((line.partition(" ")[0], line) for line in self._backlog.lines_of(note))
            notes.append(note)
            if len(lines) >= NOTED:
                break
        if not notes:
            return False
        # Looked at while nobody else writes: who saves one of them now notes it again.
        is_anew = self._table.put(self._noted(lines), boot=self._boot, wait_s=wait_s)
        for note in notes:
            self._backlog.remove(note)
        if is_anew:
            self._start()
        return True

    def _noted(self, lines: Mapping[str, str]) -> Iterator[Row]:
        """Give the rows of noted exams: as noted while the file is the same, else from the file."""
        for pk, line in lines.items():
            path, row = self._path(pk), None
            with suppress(OSError, ValueError):
                row = of_line(line, os.stat(path))  # noqa: PTH116 - a third of what Path takes
            if row:
                yield row
            else:
                yield from _rows([Path(path)])

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


def boot_of_machine() -> str:
    """
    Name this start of the machine.

    Where nobody says so each process has a name of its own: then the list is made anew more often
    than need be, rather than trusted after a power cut.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return f"unknown-{os.getpid()}-{time.time_ns()}"
