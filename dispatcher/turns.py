"""Turns: what the active dispatcher does, turn by turn."""

import threading
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from time import monotonic

import redis.exceptions
import structlog
from celery import Celery
from redis import Redis

from dispatcher.bell import Bells
from dispatcher.calls import echo_calls, exam_calls
from dispatcher.line import Held, Line
from dispatcher.own import Own
from dispatcher.promote import promote
from dispatcher.rebuild import Rebuilder
from dispatcher.report import Fullness, Read, deadlines_fired, dispatched
from dispatcher.routes import letter
from dispatcher.steps import dispatching
from dispatcher.stream import READ_COUNT, Entry, Stream
from dispatcher.sweep import sweep
from filestore.exam import Exam
from filestore.store import Store
from ingest.commands import decode, given_trace
from ingest.faults import InvalidCommand
from ops import keys, outage, tally, trace
from ops.connect import is_exhausted
from ops.events import Event
from ops.settings import Settings
from tasks import dead
from tasks.inbox import Letter

#: Milliseconds to wait for an entry, at most: how late a deadline set meanwhile may be noticed.
WAIT_MS = 100
#: Seconds between two sweeps.
SWEEP_EVERY_S = 30.0
#: Seconds between two searches for idle entries.
CLAIM_EVERY_S = 1.0
#: Seconds between two looks at a queue that is full.
FULL_S = 0.02
#: Seconds in line from which on an entry is made to look fresh when a worker is told of it: it
#: would be taken for one that nobody finished.
STOOD_S = 1.0
#: Seconds for which some must have stood in line until the gateways are told, and told again.
TELL_EVERY_S = 0.25

log = structlog.get_logger()


class Dispatcher:
    """The active dispatcher: `serve` until told to stop."""

    def __init__(
        self,
        redis: Redis,
        *,
        app: Celery,
        settings: Settings,
        token: str,
        stop: threading.Event,
        on_turn: Callable[[], object],
    ) -> None:
        """
        Take what it works with; nothing is read yet.

        Args:
            token: What stands in the lease.
            stop: Set when it is to end after the turn it is in.
            on_turn: Called after each turn that went well.
        """
        self._redis = redis
        self._bells = Bells(app)
        self._settings = settings
        self._stop = stop
        self._on_turn = on_turn
        self._stream = Stream(redis, token=token)
        self._store = Store(settings.exams)
        self._rebuilder = Rebuilder(
            redis, store=self._store, stream=self._stream, settings=settings
        )
        self._fire_at = 0.0
        self._claim_at = 0.0
        self._sweep_at = 0.0
        self._sweeping: Iterator[list[Exam]] | None = None
        self._fullness = Fullness()
        self._line = Line()
        self._own = Own()
        self._tell_at = 0.0
        self._has_told = False

    def serve(self) -> None:
        """
        Finish what a predecessor left, then take turns until told to stop.

        After any error, begin here again: what was read and not placed must be placed before
        anything that came after it, or a late expiry could overtake a result that was in time.

        Raises:
            LeaseLost: Another dispatcher is active.
        """
        self._stream.ensure_group()
        self._line, self._own = Line(), Own()
        self.recover()
        self._fire_at, self._sweep_at, self._sweeping = 0.0, 0.0, None
        while not self._stop.is_set():
            self.turn()
            self._on_turn()

    def recover(self) -> None:
        """Dispatch all that was read and not acknowledged, in the stream's order."""
        after = "0"
        while entries := self._stream.read_pending(after):
            after = entries[-1].id
            lost = [entry for entry in entries if entry.id not in self._line]
            self.dispatch(lost, redelivered=True, has_more=True)
        self._stream.place([])

    def turn(self) -> None:
        """Fire deadlines, dispatch what is new, look after what was left; or wait."""
        if monotonic() >= self._fire_at:
            self._fire_at = monotonic() + min(self.fire(), WAIT_MS) / 1000
        self._fullness.note(is_full=not self._line.room)
        entries = self._stream.read_new(min(READ_COUNT, self._line.room))
        self.dispatch(entries, redelivered=False)
        if monotonic() >= self._claim_at:
            self._claim_at = monotonic() + CLAIM_EVERY_S
            self.look_after()
        self.clean_up()
        self._rebuilder.turn()
        self.tell_line()
        if len(entries) == READ_COUNT or self._rebuilder.is_busy or self._sweeping:
            return
        if self._line:
            self._stop.wait(FULL_S)
        else:
            self._stream.wait(ceil(1000 * (self._fire_at - monotonic())))

    def look_after(self) -> None:
        """Dispatch again what nobody finished: exams first, then echoes as there is room."""
        if self._redis.getdel(keys.RING_AGAIN):
            self.recover()
        room = min(READ_COUNT, self._line.room)
        claimed = self._stream.claim_idle(keys.CONSUMER, most=room, but=self._line)
        self.dispatch(claimed, redelivered=True)
        if len(claimed) == READ_COUNT:
            self._claim_at = 0.0  # there may be many that found no room in the line
        room = self._stream.echo_room()
        self.dispatch(self._stream.claim_idle(keys.SLOW_CONSUMER, most=room), redelivered=True)

    def tell_line(self) -> None:
        """Tell of a line that lasts, now and then, and of its end."""
        if self._line and monotonic() < self._tell_at:
            return
        if self._line or self._has_told:
            self._stream.tell_line(len(self._line), self._line.waited_s(monotonic()))
        self._has_told = bool(self._line)
        self._tell_at = monotonic() + TELL_EVERY_S

    def clean_up(self) -> None:
        """Every half minute, a little each turn: give open exams a lost deadline back, and trim."""
        if self._sweeping is None:
            if monotonic() < self._sweep_at:
                return
            self._sweep_at = monotonic() + SWEEP_EVERY_S
            self._sweeping = sweep(self._redis, self._store)
        try:
            restored = next(self._sweeping, None)
        except OSError as error:  # the disk is away: the stream goes on without it
            outage.DISK.went_on(error)
            restored = None
        else:
            outage.DISK.ended()
        for exam in restored or ():
            deadline_ms = exam.standing.deadline_ms
            log.warning(Event.DEADLINE_RESTORED, pk=exam.pk, deadline_ms=deadline_ms)
        if restored is None:
            self._sweeping = None
            self.trim()

    def trim(self) -> None:
        """Shorten the stream, as far as everyone is done with it."""
        removed = self._stream.trim(retention_s=self._settings.stream_retention)
        if removed:
            log.info(Event.TRIMMED, removed=removed)

    def fire(self) -> int:
        """Turn due deadlines into commands; return the milliseconds until the next one."""
        try:
            promotion = promote(self._redis)
        except redis.exceptions.ResponseError as error:
            if not is_exhausted(error):
                raise
            outage.STREAM.went_on(error)  # what is on the stream goes on; deadlines wait
            return WAIT_MS
        deadlines_fired(promotion.fired)
        self._own.note(promotion.fired)
        return WAIT_MS if promotion.next_in_ms is None else promotion.next_in_ms + 1

    def dispatch(
        self, entries: Sequence[Entry], *, redelivered: bool, has_more: bool = False
    ) -> None:
        """
        Decode, bury what is nobody's command, place letters; ring bells as far as there is room.

        Whoever has to wait for a bell stands in line, and is thought of whenever this is called.
        """
        if not (entries or (self._line and self._stream.has_room)):
            return
        found = [read for entry in entries if (read := self.read(entry))]
        with dispatching(found) as reads:
            placed = [
                Held(read=read, letter=letter, redelivered=redelivered, since_s=monotonic())
                for read in reads
                if (letter := self._letter(read))
            ]
            for held in placed:
                if self._line.room:  # else it is idle, some seconds later, and comes again
                    self._line.add(held)
            echoes = echo_calls(reads, default_s=self._settings.echo_delay)
            fitting = echoes[: self._stream.echo_room()] if echoes else []
            told = self._line.take(READ_COUNT) if self._stream.has_room else []
            if stood := [held.read.entry for held in told if monotonic() - held.since_s > STOOD_S]:
                self._stream.freshen(stood)
            tasks = [*exam_calls([held.letter for held in told]), *fitting]
            self._stream.place(
                [held.letter for held in placed],
                echoes=[echo.kwargs["entry"] for echo in echoes],
                messages=self._bells.write(tasks),
                has_more=has_more,
                is_new=not redelivered,
            )
            now = [(held.read, held.redelivered) for held in told]
            dispatched([*now, *((read, redelivered) for read in reads if not read.pk)], tasks)
        again = sum(held.redelivered for held in told) + (len(fitting) if redelivered else 0)
        if again:
            tally.note(self._redis, tally.REDELIVERED, again)

    def read(self, entry: Entry) -> Read | None:
        """Decode an entry, or bury it with the reason and return None."""
        try:
            return Read(entry.id, self._own.take(entry.id) or decode(entry.fields))
        except InvalidCommand as error:
            reason = str(error) if entry.fields else "the entry was deleted from the stream"
        except Exception as error:
            log.exception(Event.FAILED, entry=entry.id, trace_id=_trace_id(entry))
            reason = f"could not be decoded: {type(error).__name__}"
        if dead.bury(self._redis, entry=entry.id, reason=reason):
            trace_id = _trace_id(entry)
            log.warning(Event.BURIED, entry=entry.id, reason=reason, trace_id=trace_id)
        return None

    def _letter(self, read: Read) -> Letter | None:
        return letter(read.command, entry=read.entry, duration_s=self._settings.exam_duration)


def _trace_id(entry: Entry) -> str:
    return (given_trace(entry.fields) or trace.derived(entry.id)).trace_id
