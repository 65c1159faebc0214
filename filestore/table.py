"""Table: one row per exam in SQLite, and who may touch it. The truth lies in the files."""

import fcntl
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filestore.fact import Status
from filestore.row import PUT, SCHEMA, Row, Values

#: Seconds to wait for others who use the table. They need milliseconds, unless they were stopped.
WAIT_S = 2.0
#: Seconds between two tries.
TRY_S = 0.001
#: What `PRAGMA user_version` says of a table: rows are missing, or all are there.
FILLING, WHOLE = 1, 2
#: Errors that tell of a file which is no table of ours; the others are the world's fault.
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
#: Held by whoever uses SQLite, and by whoever forks: what SQLite knows of locks and open files must
#: not be copied into a child, where it would be wrong.
_USE = threading.Lock()
os.register_at_fork(before=_USE.acquire, after_in_parent=_USE.release, after_in_child=_USE.release)


class Unready(Exception):  # noqa: N818 - says what the table is
    """The table is missing, damaged, or not filled yet: ask again, it is made from the files."""


class Table:
    """
    The file ``<root>/.index.sqlite``. Every method may raise OSError: the disk's fault.

    It is opened for each use. So no connection lives through a fork, nobody writes into a file that
    was set aside, and the disk can be made read-only while nothing is written. Nothing is synced:
    the death of a process cannot hurt it, and after a power cut it is made anew (`boots`).
    """

    def __init__(self, root: Path) -> None:
        self.path = root / ".index.sqlite"
        self._root = root

    def put(self, rows: Iterable[Row], *, boot: str, wait_s: float = WAIT_S) -> bool:
        """
        Write exams' rows over those they had.

        Args:
            rows: Taken while nobody else writes; or each taken under its exam's lock.
            wait_s: Seconds to wait for others who use the table.

        Returns:
            Whether there was no table, and a new one was made, in which the others are missing.

        Raises:
            TimeoutError: Others used it all the time. Nothing was written.
        """
        with self._locked(fcntl.LOCK_EX, wait_s):
            values = [row.values() for row in rows]
            try:
                self._write(values)
            except Unready:
                self._make_anew(boot)
                self._write(values)
                return True
        return False

    def fill(self, rows: Iterable[Row], *, token: int) -> None:
        """
        Add rows read from files; one that is there stays: its writer knew more.

        Raises:
            Unready: The table is not the one of *token* any more.
        """
        with self._locked(fcntl.LOCK_EX), self._connected(token=token) as connection:
            values = [row.values() for row in rows]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO exams VALUES (?, ?, ?, ?, ?)", values)
            connection.execute("COMMIT")

    def finish(self, *, token: int) -> None:
        """Say that every exam is in the table of *token*; raises as `fill` does."""
        with self._locked(fcntl.LOCK_EX), self._connected(token=token) as connection:
            connection.execute(f"PRAGMA user_version = {WHOLE}")

    def is_whole(self, boot: str) -> bool:
        """Whether all exams are there, and no power cut since *boot* was noted can have hurt it."""
        with self._locked(fcntl.LOCK_SH):
            return self._state(boot)[0] == WHOLE

    def begin(self, boot: str) -> int:
        """
        See that there is a table of this start of the machine, perhaps to be filled.

        Returns:
            Its token.
        """
        with self._locked(fcntl.LOCK_EX):
            state, token = self._state(boot)
            return token if state else self._make_anew(boot)

    def page(
        self, *, status: Status | None, since_ms: int, before: tuple[int, str] | None, limit: int
    ) -> list[Row]:
        """
        List exams, newest first by (started_ms, pk).

        Args:
            since_ms: Those that started then or later.
            before: Those behind this one in the list.

        Raises:
            Unready: Not all are there.
        """
        terms = ["started_ms >= ?"]
        values: list[str | int] = [since_ms]
        if before:
            terms.append("(started_ms, pk) < (?, ?)")
            values += before
        if status:
            terms.append("status = ?")
            values.append(status.value)
        sql = f"SELECT * FROM exams WHERE {' AND '.join(terms)}"  # noqa: S608 - from terms above
        sql += " ORDER BY started_ms DESC, pk DESC LIMIT ?"
        return [
            Row(pk=pk, status=Status(status), started_ms=at, deadline_ms=until, decided_ms=decided)
            for pk, status, at, until, decided in self._ask(sql, (*values, limit))
        ]

    def counts(self) -> dict[Status, int]:
        """
        Count the exams of each status, without a scan.

        Raises:
            Unready: Not all are there.
        """
        found = dict(self._ask("SELECT status, exams FROM counts", ()))
        return {status: found.get(status.value, 0) for status in Status}

    def _ask(self, sql: str, values: Sequence[str | int]) -> list[Any]:
        with self._locked(fcntl.LOCK_SH), self._connected() as connection:
            [[state]] = connection.execute("PRAGMA user_version")
            if state != WHOLE:
                raise Unready("the list of exams is being made from their files")
            return connection.execute(sql, values).fetchall()

    def _write(self, values: Sequence[Values]) -> None:
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(PUT, values)
            connection.execute("COMMIT")

    def _state(self, boot: str) -> tuple[int, int]:
        """Tell how full the table is, 0 when it cannot be used, and its token."""
        try:
            with self._connected() as connection:
                [[state]] = connection.execute("PRAGMA user_version")
                [[token]] = connection.execute("PRAGMA application_id")
                [[known]] = connection.execute("SELECT count(*) FROM boots WHERE boot = ?", [boot])
        except Unready:
            return 0, 0
        return (state if known and state in (FILLING, WHOLE) else 0), token

    def _make_anew(self, boot: str) -> int:
        """Put an empty table in place. It has its name once it is one, whoever is killed when."""
        new = self._root / ".index.new"
        new.unlink(missing_ok=True)
        token = secrets.randbits(31)
        with _world_fault(), closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.executescript(f"PRAGMA synchronous = OFF; {SCHEMA}")
            connection.execute("INSERT INTO boots VALUES (?)", [boot])
            connection.execute(f"PRAGMA application_id = {token}")
            connection.execute(f"PRAGMA user_version = {FILLING}")
        if self.path.exists():
            aside = self._root / ".damaged"
            aside.mkdir(exist_ok=True)
            self.path.replace(aside / self.path.name)
        # An interrupted change of the old table must not be undone in the new one.
        self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)
        new.replace(self.path)
        return token

    @contextmanager
    def _connected(self, *, token: int | None = None) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():
            raise Unready("there is no list of exams yet")
        where = f"{self.path.absolute().as_uri()}?mode=rw"
        with _world_fault(), closing(_connect(where)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            if token is not None:
                [[found]] = connection.execute("PRAGMA application_id")
                if found != token:
                    raise Unready("the list of exams was made anew meanwhile")
            yield connection

    @contextmanager
    def _locked(self, how: int, wait_s: float = WAIT_S) -> Iterator[None]:
        """
        Use the table together with other readers, or alone.

        Not left to SQLite: its own locks do not keep anyone from a file that is being replaced.
        Who waits lets the other threads of this process have their turn.
        """
        until = time.monotonic() + wait_s
        while True:
            with _USE, self._lock_file(how) as descriptor:
                if try_lock(descriptor, how):
                    yield
                    return
            if time.monotonic() >= until:
                raise TimeoutError(f"{self.path} has been in use for {wait_s:g} s")
            time.sleep(TRY_S)

    @contextmanager
    def _lock_file(self, how: int) -> Iterator[int]:
        path = self._root / ".index.lock"
        flags = os.O_RDONLY | os.O_CLOEXEC  # readers: also where nothing can be written
        if how == fcntl.LOCK_EX:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o640)
        except FileNotFoundError:
            raise Unready("there is no list of exams yet") from None
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _connect(where: str) -> sqlite3.Connection:
    return sqlite3.connect(where, uri=True, isolation_level=None, timeout=WAIT_S)


def try_lock(descriptor: int, how: int) -> bool:
    """Lock a file as `fcntl.flock` does, or say that somebody else has."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _world_fault() -> Iterator[None]:
    """Sort SQLite's errors: the file is none of ours, or the disk does not do as it should."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            raise
        if code & 0xFF in _DAMAGE:
            raise Unready(f"the list of exams is damaged: {error}") from error
        raise OSError(f"the list of exams: {error}") from error
