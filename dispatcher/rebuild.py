"""Rebuild: make a damaged exam anew from what the stream still holds, or say why not."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import structlog
from redis import Redis

from dispatcher.routes import letter
from dispatcher.stream import PAGE_COUNT, Entry, Stream
from filestore.document import Damaged, salvage_start
from filestore.exam import Exam, transition
from filestore.fact import Fact
from filestore.lock import Locked
from filestore.store import Store
from ingest.commands import decode
from ops import keys, outage
from ops.events import Event
from ops.settings import Settings
from tasks import deadlines
from tasks.inbox import Letter

#: Seconds between two looks at what is damaged. Twice as many after each look that somebody or
#: something was in the way of, up to the most: each goes through the whole stream.
LOOK_EVERY_S = 1.0
AGAIN_AFTER_S = 30.0
#: A stream's first id, for one from which nothing was ever deleted.
NEVER = b"0-0"

log = structlog.get_logger()


@dataclass(kw_only=True)
class Search:
    """
    One way through the stream, for all that is damaged.

    Attributes:
        after: How far it has come.
        until: The last entry to look at. Whatever comes later waits in the inbox.
        first_ms: Time of the oldest entry that the stream still holds.
        is_whole: Whether the stream still holds every entry that it ever took.
        found: pk -> its commands, the oldest first.
    """

    after: str
    until: str
    first_ms: int
    is_whole: bool
    found: dict[str, list[Letter]] = field(default_factory=dict)


class Rebuilder:
    """Damaged exams on their way back; a page of the stream at a time, so that nobody waits."""

    def __init__(self, redis: Redis, *, store: Store, stream: Stream, settings: Settings) -> None:
        self._redis = redis
        self._store = store
        self._stream = stream
        self._settings = settings
        self._search: Search | None = None
        self._look_at = 0.0
        self._pause_s = LOOK_EVERY_S
        self._review_at = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether it is on its way through the stream."""
        return self._search is not None

    def turn(self) -> None:
        """Look for what is damaged, or read on for it."""
        if self._search:
            self._read_on(self._search)
        elif monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOK_EVERY_S
            self._look()

    def _look(self) -> None:
        """Begin to search for what was noted; what was given up is looked at now and then."""
        noted: Any = self._redis.hgetall(keys.DAMAGED)
        given_up = [pk.decode() for pk, reason in noted.items() if reason]
        if given_up and monotonic() >= self._review_at:
            self._review_at = monotonic() + AGAIN_AFTER_S
            for pk in filter(self._is_mended, given_up):
                self._redis.hdel(keys.DAMAGED, pk)
                self._redis.set(keys.RING_AGAIN, "1", ex=keys.RING_AGAIN_S)
        if waiting := [pk.decode() for pk, reason in noted.items() if not reason]:
            self._search = self._begin(waiting)

    def _is_mended(self, pk: str) -> bool:
        """Whether a person has put a document in the damaged one's place, or taken it away."""
        try:
            self._store.load(pk)
        except (Damaged, OSError):
            return False
        return True

    def _begin(self, pks: Sequence[str]) -> Search:
        info: Any = self._redis.xinfo_stream(keys.COMMANDS)
        first = info["first-entry"]
        is_whole = info["entries-added"] == info["length"] and info["max-deleted-entry-id"] == NEVER
        return Search(
            after="0-0",
            until=info["last-generated-id"].decode(),
            first_ms=int(first[0].partition(b"-")[0]) if first else 0,
            is_whole=is_whole,
            found={pk: [] for pk in pks},
        )

    def _read_on(self, search: Search) -> None:
        page = self._stream.page(search.after, until=search.until)
        for entry in page:
            command = self._letter(entry)
            if command and command.pk in search.found:
                search.found[command.pk].append(command)
            search.after = entry.id
        if len(page) == PAGE_COUNT:
            return
        self._search = None
        pause_s = LOOK_EVERY_S
        for pk, letters in search.found.items():
            try:
                self._rebuild(pk, letters, search)
            except (Locked, OSError) as error:
                if not isinstance(error, Locked):
                    outage.DISK.went_on(error)
                pause_s = min(self._pause_s * 2, AGAIN_AFTER_S)
        self._pause_s = pause_s
        self._look_at = monotonic() + pause_s

    def _letter(self, entry: Entry) -> Letter | None:
        try:
            command = decode(entry.fields)
        except Exception:
            return None
        return letter(command, entry=entry.id, duration_s=self._settings.exam_duration)

    def _rebuild(self, pk: str, letters: Sequence[Letter], search: Search) -> None:
        """
        Put one exam's document back, and its deadline, if it is known for sure.

        Raises:
            Locked: Somebody is at work on it.
            OSError: The disk does not take it.
        """
        with self._store.lock(pk, wait_s=0):
            try:
                exam = self._store.load(pk)  # a person may have mended it, or an earlier try
                if exam:
                    self._store.sync(pk)
            except Damaged as error:
                exam = self._make_anew(pk, letters, search, seen=str(error))
                if exam is None:
                    return
            with self._redis.pipeline(transaction=True) as pipeline:
                if exam:
                    deadlines.keep(pipeline, [exam])
                pipeline.hdel(keys.DAMAGED, pk)
                pipeline.set(keys.RING_AGAIN, "1", ex=keys.RING_AGAIN_S)
                pipeline.execute()

    def _make_anew(
        self, pk: str, letters: Sequence[Letter], search: Search, *, seen: str
    ) -> Exam | None:
        """Set the file aside and write the document anew, under the exam's lock; None if not."""
        now_ms, facts, deadline_ms = self._facts(pk, letters)
        exam = transition(pk, None, facts).exam
        doubt = _doubt(
            exam,
            search,
            started_ms=salvage_start(self._store.read(pk) or b""),
            deadline_ms=deadline_ms,
            orphan_after_ms=self._settings.orphan_after * 1000,
        )
        if doubt or not exam:
            self._redis.hset(keys.DAMAGED, pk, doubt)
            log.error(Event.EXAM_NOT_REBUILT, pk=pk, reason=doubt, error=seen)
            return None
        kept = self._store.set_aside(pk, at_ms=now_ms)
        self._store.save(exam)
        standing = exam.standing
        log.warning(
            Event.EXAM_REBUILT,
            pk=pk,
            status=standing.status,
            deadline_ms=standing.deadline_ms,
            entries=[record.fact.entry for record in exam.history],
            kept=str(kept),
            error=seen,
        )
        return exam

    def _facts(self, pk: str, letters: Sequence[Letter]) -> tuple[int, list[Fact], int | None]:
        """
        Give each command the ingress time it had, and leave out what was buried.

        Returns:
            Redis' clock, the facts, and the deadline that Redis knows for this exam.
        """
        entries = [letter.entry for letter in letters]
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.time()
            pipeline.hmget(keys.TIMES, [*entries, ""])  # one at least
            pipeline.zscore(keys.DEADLINES, pk)
            (seconds, microseconds), times, deadline_ms = pipeline.execute()
        now_ms = seconds * 1000 + microseconds // 1000
        facts = [
            _fact(letter, at_ms=min(int(noted or letter.entry.partition("-")[0]), now_ms))
            for letter, noted in zip(letters, times, strict=False)
            if noted != keys.BURIED.encode()
        ]
        return now_ms, facts, None if deadline_ms is None else int(deadline_ms)


def _fact(letter: Letter, *, at_ms: int) -> Fact:
    return Fact(
        at_ms=at_ms,
        entry=letter.entry,
        command=letter.command,
        source=letter.source,
        type=letter.type,
        value=letter.value,
    )


def _doubt(
    exam: Exam | None,
    search: Search,
    *,
    started_ms: int | None,
    deadline_ms: int | None,
    orphan_after_ms: int,
) -> str:
    """
    Say why *exam* may not be what the damaged file said; nothing when it is known for sure.

    Args:
        started_ms: When the exam was started, by what is left of the file.
        deadline_ms: Its deadline, by Redis.
    """
    if exam is None:
        return "the stream holds no start of it"
    standing = exam.standing
    if started_ms not in (None, standing.started_ms):
        return f"it was started at {started_ms} by the file, at {standing.started_ms} by the stream"
    if deadline_ms not in (None, standing.deadline_ms):
        return f"Redis has the deadline {deadline_ms}, the stream says {standing.deadline_ms}"
    if not search.is_whole and started_ms is None:
        return "old entries have left the stream, and the file does not say when it was started"
    if not search.is_whole and search.first_ms > standing.started_ms - orphan_after_ms:
        return "a result from before its start may have left the stream"
    return ""
