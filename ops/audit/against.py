"""Against: hold what the log says of each exam against its file."""

from array import array
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from filestore.document import Damaged
from filestore.exam import Exam as Kept
from filestore.fact import LAST_MS, Fact, Type
from filestore.store import Store
from ops.audit.exams import Exam, Record, outcome
from ops.audit.findings import Findings
from ops.audit.line import entry_ms
from ops.log import printable

#: How many exams are kept for a second look, because their file was ahead of the log.
MOST_SUSPECTS = 100_000


@dataclass(slots=True)
class Files:
    """
    The exams' files, and which of them the log has told of.

    The log is compared with a file when it has said all about an exam; a line that comes much later
    can still explain what the file was ahead with. Of each exam 8 bytes are kept, to tell in the
    end which files the log does not know.
    """

    root: Path
    findings: Findings
    _store: Store = field(init=False)
    _seen: "array[int]" = field(init=False)
    _ahead: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)
    compared: int = 0

    def __post_init__(self) -> None:
        self._store = Store(self.root)
        self._seen = array("Q")

    def compare(self, pk: str, exam: Exam) -> None:
        """Compare an exam, as the log tells it, with its file."""
        self._seen.append(_short(pk))
        self._explain(pk, exam)
        if not exam.records:
            return
        try:
            kept = self._store.load(pk)
        except (Damaged, ValueError) as error:
            self.findings.violated("file damaged", printable(f"{pk}: {error}"))
            return
        self.compared += 1
        if kept is None:
            self.findings.violated("file missing", f"{pk}: {self._store.path(pk)}")
            return
        self._compare_records(pk, exam, kept)

    def end(self, *, since_ms: int, until_ms: float) -> None:
        """
        Look for files that the log does not know, and for what nothing explained.

        Args:
            since_ms, until_ms: What came in between them may be on the disk and in no line: the log
                was read while the system ran, or ended with a worker that was killed between.
        """
        for pk, records in self._ahead.items():
            for entry, (at_ms, text) in records.items():
                is_new = since_ms < at_ms < until_ms
                self._ahead_of_log(
                    "record differs", f"{pk}: {entry} {text}", at_ms=at_ms, is_new=is_new
                )
        seen = set(self._seen)
        for path in self.root.glob("[0-9a-f][0-9a-f]/*.json"):
            if _short(path.stem) not in seen:
                text = printable(f"{path.stem}: {path}")
                first_ms, last_ms = self._moments(path)
                is_new = since_ms < first_ms < until_ms
                self._ahead_of_log("not in the log", text, at_ms=last_ms, is_new=is_new)

    def _ahead_of_log(self, rule: str, text: str, *, at_ms: int, is_new: bool) -> None:
        if is_new:
            self.findings.noted("under way", f"{text}, only in the file yet")
        else:
            self.findings.lacking(rule, f"{text}, only in the file", at_ms=at_ms)

    def _moments(self, path: Path) -> tuple[int, int]:
        """When the first and last of an exam's commands came in, if its file tells."""
        try:
            kept = self._store.load(path.stem) if self._store.path(path.stem) == path else None
        except (OSError, ValueError):
            kept = None
        moments = [_came_ms(record.fact) for record in kept.history] if kept else [0, LAST_MS]
        return min(moments), max(moments)

    def _explain(self, pk: str, exam: Exam) -> None:
        """Strike off what the file was ahead with and the log has told by now."""
        ahead = self._ahead.get(pk)
        if ahead is None:
            return
        for entry in exam.records:
            ahead.pop(entry, None)
        if not ahead:
            del self._ahead[pk]

    def _compare_records(self, pk: str, exam: Exam, kept: Kept) -> None:
        on_file = {record.fact.entry: record for record in kept.history}
        for entry, record in exam.records.items():
            there = on_file.pop(entry, None)
            if there is None:
                text = f"{pk}: {entry} {_told(record)}, only in the log"
                self.findings.violated("record differs", text)
            elif (there.fact.type, there.fact.value, there.fact.at_ms) != _facts(record):
                text = f"{pk}: {entry} is {there.fact.value} in the file, {record.value} in the log"
                self.findings.violated("record differs", text)
        end = outcome(exam.records)
        if not on_file and end and end.status != kept.standing.status:
            text = f"{pk}: {kept.standing.status.value} in the file, {end.status} by the log"
            self.findings.violated("status differs", text)
        if on_file and end and len(self._ahead) < MOST_SUSPECTS:
            self._ahead[pk] = {
                entry: (_came_ms(record.fact), f"{record.fact.type.value} {record.fact.value}")
                for entry, record in on_file.items()
            }


def _facts(record: Record) -> tuple[Type | str, object, int]:
    return record.type, record.value, record.at_ms


def _told(record: Record) -> str:
    return f"{record.type} {record.value}"


def _came_ms(fact: Fact) -> int:
    """When a command came onto the stream for the last time: it may have been put back."""
    return max(fact.at_ms, entry_ms(fact.entry))


def _short(pk: str) -> int:
    return int.from_bytes(
        blake2b(pk.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )
