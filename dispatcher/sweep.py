"""Sweep: give open exams back the deadline that Redis has lost."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from redis import Redis

from filestore.document import Damaged
from filestore.exam import Exam
from filestore.fact import Status
from filestore.store import Locked, Store
from ops import keys
from ops.lag import has_unread
from tasks.world import note_damage

#: Exams asked about in one round trip.
CHUNK = 500
#: Milliseconds after its deadline for which an exam may still have its expiry on the way.
OVERDUE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What Redis said at the beginning of a sweep: its clock, and whether anything is under way."""

    now_ms: int
    is_idle: bool

    def has_lost(self, exam: Exam) -> bool:
        """
        Whether an exam that is not among the deadlines should be.

        One whose deadline has just passed is not there because its expiry is on the way.
        """
        standing = exam.standing
        overdue_ms = self.now_ms - standing.deadline_ms
        is_open = standing.status is Status.STARTED
        return is_open and (overdue_ms < 0 or overdue_ms > OVERDUE_MS or self.is_idle)


def sweep(redis: Redis, store: Store) -> Iterator[Exam]:
    """
    Set the missing deadlines, and yield the exams that got theirs back.

    Goes through the store's list of open exams, and reads only the files of those that Redis has
    no deadline for.
    """
    moment = look(redis)
    names = store.open_exams()
    while chunk := list(islice(names, CHUNK)):
        scores = redis.zmscore(keys.DEADLINES, chunk)
        for pk, score in zip(chunk, scores, strict=True):
            if score is None and (exam := restore(redis, store, pk, moment=moment)):
                yield exam


def look(redis: Redis) -> Moment:
    """Ask for the clock, and whether an entry is unread, in hand or pending."""
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.time()
        pipeline.xinfo_groups(keys.COMMANDS)
        pipeline.exists(keys.IN_HAND)
        pipeline.xpending(keys.COMMANDS, keys.GROUP)
        (seconds, microseconds), groups, in_hand, pending = pipeline.execute()
    is_idle = not (has_unread(groups) or in_hand or pending["pending"])
    return Moment(now_ms=seconds * 1000 + microseconds // 1000, is_idle=is_idle)


def restore(redis: Redis, store: Store, pk: str, *, moment: Moment) -> Exam | None:
    """
    Set an exam's deadline if it is open and has none; return the exam if so.

    Under the exam's lock, so that nobody decides it between the look and the step. An exam that
    is locked is being worked on, and a damaged one is noted. One whose letters are pending gets its
    deadline when they are applied; while the disk does not take them, an expiry among them, each
    sweep would add one more.
    """
    try:
        with store.lock(pk, wait_s=0):
            exam = store.load(pk)
            if exam is None or exam.standing.status is not Status.STARTED:
                store.close(pk)
            elif moment.has_lost(exam) and (moment.is_idle or not redis.exists(keys.inbox(pk))):
                redis.zadd(keys.DEADLINES, {pk: exam.standing.deadline_ms})
                return exam
    except Locked:
        pass
    except Damaged as error:
        note_damage(redis, pk, error)
    return None
