"""Settlement: keep the books of exams whose files are on the disk."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis

from filestore.exam import Exam, Record, Transition
from ops import keys
from tasks import attempts, deadlines, report
from tasks.changes import changes, event_fields, refusals, tallied
from tasks.inbox import Post
from tasks.transaction import Transaction

#: Entries that the stream of events keeps, about: a few minutes at full speed.
EVENTS_KEPT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """
    What is on the disk, and not in the books yet.

    Attributes:
        records: What was applied just now, or found there and perhaps not settled.
        now_ms: Redis' clock, for how long it took.
        is_all: Whether nothing else of this exam was being attempted.
    """

    exam: Exam
    records: Sequence[Record]
    now_ms: int
    is_all: bool

    @classmethod
    def of(cls, exam: Exam, outcome: Transition, post: Post, *, is_all: bool) -> "Applied":
        """Take what the rules said to what an inbox held."""
        records = (*outcome.known, *outcome.new)
        return cls(exam=exam, records=records, now_ms=post.clock_ms, is_all=is_all)

    @property
    def entries(self) -> list[str]:
        """The commands that come to their end."""
        return [record.fact.entry for record in self.records]


def settle(redis: Redis, applied: Sequence[Applied]) -> None:
    """
    Keep the books of some exams in one transaction.

    It is sent once: when its answer is lost nobody knows whether it was done. The next bell
    knows, by what the inbox still holds, and does it then.
    """
    statuses: Counter[str] = Counter()
    moved: list[Exam] = []
    books = Transaction(redis)
    deadlines.keep(books, [one.exam for one in applied])
    for one in applied:
        moves = changes(one.exam, one.records)
        if moves:
            moved.append(one.exam)
        for change in (*moves, *refusals(one.exam, one.records)):
            books.xadd(keys.EVENTS, event_fields(change, one.exam), maxlen=EVENTS_KEPT)
            if change.status is not None:
                statuses[change.status] += 1
    for status, number in statuses.items():
        books.hincrby(keys.COUNTS, status, number)
    counted = tallied((one.records, one.now_ms) for one in applied)
    for field, number in counted.items():
        books.hincrby(keys.METRICS, field, number)
    for one in applied:  # from here on it is over: whatever was refused before is done again
        books.hdel(keys.inbox(one.exam.pk), *one.entries)
    books.xack(keys.COMMANDS, keys.GROUP, *(entry for one in applied for entry in one.entries))
    if ended := [one.exam.pk for one in applied if one.is_all]:
        attempts.end(books, *ended)
    books.execute()
    report.deadlines(moved)
