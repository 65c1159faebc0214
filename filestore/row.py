"""Row: what the index keeps of an exam, and the shape of its table. Values only."""

import os
from dataclasses import dataclass

from filestore.exam import Exam
from filestore.fact import Status

#: Counts are kept by triggers, so that nobody has to scan for them.
SCHEMA = """
CREATE TABLE exams (
    pk TEXT PRIMARY KEY, status TEXT NOT NULL,
    started_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, decided_ms INTEGER
) WITHOUT ROWID;
CREATE INDEX by_start ON exams (started_ms, pk);
CREATE INDEX by_status ON exams (status, started_ms, pk);
CREATE TABLE counts (status TEXT PRIMARY KEY, exams INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE boots (boot TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TRIGGER came AFTER INSERT ON exams BEGIN
    INSERT INTO counts VALUES (new.status, 1)
    ON CONFLICT (status) DO UPDATE SET exams = exams + 1;
END;
CREATE TRIGGER moved AFTER UPDATE OF status ON exams WHEN old.status <> new.status BEGIN
    UPDATE counts SET exams = exams - 1 WHERE status = old.status;
    INSERT INTO counts VALUES (new.status, 1)
    ON CONFLICT (status) DO UPDATE SET exams = exams + 1;
END;
"""
#: Writes a row over the one that is there, if they differ.
PUT = """
INSERT INTO exams VALUES (?, ?, ?, ?, ?) ON CONFLICT (pk) DO UPDATE SET
    status = excluded.status, started_ms = excluded.started_ms,
    deadline_ms = excluded.deadline_ms, decided_ms = excluded.decided_ms
WHERE (status, started_ms, deadline_ms, decided_ms) IS NOT
    (excluded.status, excluded.started_ms, excluded.deadline_ms, excluded.decided_ms)
"""

#: A row in the order of the table's columns.
Values = tuple[str, str, int, int, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the table knows of an exam; moments in milliseconds since 1970."""

    pk: str
    status: Status
    started_ms: int
    deadline_ms: int
    decided_ms: int | None

    def values(self) -> Values:
        """In the order of the table's columns."""
        return self.pk, self.status.value, self.started_ms, self.deadline_ms, self.decided_ms


def row_of(exam: Exam) -> Row:
    """Take from an exam what is in the table."""
    standing = exam.standing
    return Row(
        pk=exam.pk,
        status=standing.status,
        started_ms=standing.started_ms,
        deadline_ms=standing.deadline_ms,
        decided_ms=standing.decided_ms,
    )


def to_line(row: Row, file: os.stat_result) -> str:
    """
    Write a row, with what tells its exam's file from every other one, in one line.

    A document is never changed in place: while the file is the same, so is its row.
    """
    decided = "-" if row.decided_ms is None else row.decided_ms
    own = f"{row.pk} {row.status} {row.started_ms} {row.deadline_ms} {decided}"
    return f"{own} {file.st_ino} {file.st_mtime_ns} {file.st_size}"


def of_line(line: str, file: os.stat_result) -> Row | None:
    """Read back the row that `to_line` wrote; None if the file is another one by now, or none."""
    match line.split(" "):
        case [pk, status, started, deadline, decided, *identity]:
            if identity != [str(file.st_ino), str(file.st_mtime_ns), str(file.st_size)]:
                return None
            return Row(
                pk=pk,
                status=Status(status),
                started_ms=int(started),
                deadline_ms=int(deadline),
                decided_ms=None if decided == "-" else int(decided),
            )
        case _:
            return None
