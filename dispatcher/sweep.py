"""Sweep: give open exams back the deadline that Redis has lost."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from redis import Redis

from filestore.document import Damaged
from filestore.exam import Exam
from filestore.fact import Status
from filestore.lock import Locked
from filestore.store import Store
from ops import keys
from ops.lag import has_unread
from tasks.world import note_damage

#: Exams asked about in one round trip; each of them may need its file read.
CHUNK = 100
#: Milliseconds after its deadline for which an exam may still have its expiry on the way.
OVERDUE_MS = 60_000
#: Milliseconds by which reading may be behind the clock and still count as current.
CURRENT_MS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """
    What Redis said before a chunk.

    Attributes:
        now_ms: Its clock.
        is_idle: Whether nothing is unread, in hand or pending.
        is_current: Whether all that came in a second ago has been read.
    """

    now_ms: int
    is_idle: bool
    is_current: bool

    def has_lost(self, exam: Exam) -> bool:
        """
        Whether an exam that is not among the deadlines should be.

        One whose deadline has passed is not there because its expiry is on the way: for a while, or
        as long as reading is behind. Behind a backlog lie its expiry and those of all others; to
        fire them again, sweep by sweep, would make the backlog grow for ever.
        """
        standing = exam.standing
        overdue_ms = self.now_ms - standing.deadline_ms
        is_lost = overdue_ms < 0 or self.is_idle or (self.is_current and overdue_ms > OVERDUE_MS)
        return standing.status is Status.STARTED and is_lost


def sweep(redis: Redis, store: Store) -> Iterator[list[Exam]]:
    """
    Set the missing deadlines; yield, chunk by chunk, the exams that got theirs back.

    Goes through the store's list of open exams, and reads only the files of those that Redis has
    no deadline for, and no letter: when thousands end at once that would be all of them, read in
    vain. It may still be many, and the caller has a lease to renew meanwhile.
    """
    names = store.open_exams()
    while chunk := list(islice(names, CHUNK)):
        scores = redis.zmscore(keys.DEADLINES, chunk)
        missing = [pk for pk, score in zip(chunk, scores, strict=True) if score is None]
        yield _restore_all(redis, store, missing) if missing else []


def _restore_all(redis: Redis, store: Store, missing: list[str]) -> list[Exam]:
    moment = look(redis)
    lost = missing if moment.is_idle else _without_letters(redis, missing)
    found = (restore(redis, store, pk, moment=moment) for pk in lost)
    return [exam for exam in found if exam]


def _without_letters(redis: Redis, pks: list[str]) -> list[str]:
    with redis.pipeline(transaction=False) as pipeline:
        for pk in pks:
            pipeline.exists(keys.inbox(pk))
        return [pk for pk, letters in zip(pks, pipeline.execute(), strict=True) if not letters]


def look(redis: Redis) -> Moment:
    """Ask for the clock, and whether an entry is unread, in hand or pending."""
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.time()
        pipeline.xinfo_groups(keys.COMMANDS)
        pipeline.exists(keys.IN_HAND)
        pipeline.xpending(keys.COMMANDS, keys.GROUP)
        pipeline.xinfo_stream(keys.COMMANDS)
        (seconds, microseconds), groups, in_hand, pending, stream = pipeline.execute()
    now_ms = seconds * 1000 + microseconds // 1000
    is_idle = not (has_unread(groups) or in_hand or pending["pending"])
    read = _last_read(groups)
    is_current = (
        read == stream["last-generated-id"] or now_ms - int(read.split(b"-")[0]) <= CURRENT_MS
    )
    return Moment(now_ms=now_ms, is_idle=is_idle, is_current=is_current)


def _last_read(groups: list[dict[str, Any]]) -> bytes:
    """Return the id of the last entry that the dispatcher has read."""
    own = [group for group in groups if group["name"] == keys.GROUP.encode()]
    return bytes(own[0]["last-delivered-id"]) if own else b"0-0"


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
