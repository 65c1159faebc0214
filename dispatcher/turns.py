"""Turns: what the active dispatcher does, turn by turn."""

import threading
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from time import monotonic

import redis.exceptions
import structlog
from celery import Celery
from redis import Redis

from dispatcher.bell import Bells, Message, new_task_id, trace_for
from dispatcher.promote import promote
from dispatcher.rebuild import Rebuilder
from dispatcher.report import Fullness, Read, dispatched
from dispatcher.routes import ROUTES, bells, letter
from dispatcher.steps import dispatching
from dispatcher.stream import READ_COUNT, Entry, Stream
from dispatcher.sweep import sweep
from filestore.exam import Exam
from filestore.store import Store
from ingest.commands import Echo, decode, given_trace
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

    def serve(self) -> None:
        """
        Finish what a predecessor left, then take turns until told to stop.

        After any error, begin here again: what was read and not placed must be placed before
        anything that came after it, or a late expiry could overtake a result that was in time.

        Raises:
            LeaseLost: Another dispatcher is active.
        """
        self._stream.ensure_group()
        self.recover()
        self._fire_at, self._sweep_at, self._sweeping = 0.0, 0.0, None
        while not self._stop.is_set():
            self.turn()
            self._on_turn()

    def recover(self) -> None:
        """Dispatch all that was read and not acknowledged, in the stream's order."""
        after = "0"
        while entries := self._stream.read_pending(after):
            self.dispatch(entries, redelivered=True, has_more=True)
            after = entries[-1].id
        self._stream.place([])

    def turn(self) -> None:
        """Fire deadlines, dispatch what is new, look after what was left; or wait."""
        if monotonic() >= self._fire_at:
            self._fire_at = monotonic() + min(self.fire(), WAIT_MS) / 1000
        entries = self._stream.read_new()
        self._fullness.note(is_full=entries is None)
        if entries is None:
            self._stop.wait(FULL_S)
            return
        self.dispatch(entries, redelivered=False)
        if monotonic() >= self._claim_at:
            self._claim_at = monotonic() + CLAIM_EVERY_S
            self.look_after()
        self.clean_up()
        self._rebuilder.turn()
        if not (len(entries) == READ_COUNT or self._rebuilder.is_busy or self._sweeping):
            self._stream.wait(ceil(1000 * (self._fire_at - monotonic())))

    def look_after(self) -> None:
        """Dispatch again what nobody finished: exams first, then echoes as there is room."""
        if self._redis.getdel(keys.RING_AGAIN):
            self.recover()
        self.dispatch(self._stream.claim_idle(keys.CONSUMER), redelivered=True)
        room = self._stream.echo_room()
        self.dispatch(self._stream.claim_idle(keys.SLOW_CONSUMER, most=room), redelivered=True)

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
        for fired in promotion.fired:
            log.info(
                Event.DEADLINE_FIRED,
                pk=fired.pk,
                entry=fired.entry,
                deadline_ms=fired.deadline_ms,
                late_ms=fired.late_ms,
            )
        return WAIT_MS if promotion.next_in_ms is None else promotion.next_in_ms + 1

    def dispatch(
        self, entries: Sequence[Entry], *, redelivered: bool, has_more: bool = False
    ) -> None:
        """Decode, bury what is nobody's command, place letters, ring bells."""
        if not entries:
            return
        found = [read for entry in entries if (read := self.read(entry))]
        with dispatching(found) as reads:
            letters = [letter for read in reads if (letter := self._letter(read))]
            echoes = self._echoes(reads)
            fitting = echoes[: self._stream.echo_room()] if echoes else []
            tasks = [*self._calls(letters), *fitting]
            self._stream.place(
                letters,
                echoes=[echo.kwargs["entry"] for echo in echoes],
                messages=self._bells.write(tasks),
                has_more=has_more,
            )
            dispatched(reads, letters, tasks, redelivered=redelivered)
        if redelivered:
            tally.note(self._redis, tally.REDELIVERED, len(letters) + len(fitting))

    def read(self, entry: Entry) -> Read | None:
        """Decode an entry, or bury it with the reason and return None."""
        trace_id = (given_trace(entry.fields) or trace.derived(entry.id)).trace_id
        try:
            return Read(entry.id, decode(entry.fields))
        except InvalidCommand as error:
            reason = str(error) if entry.fields else "the entry was deleted from the stream"
        except Exception as error:
            log.exception(Event.FAILED, entry=entry.id, trace_id=trace_id)
            reason = f"could not be decoded: {type(error).__name__}"
        if dead.bury(self._redis, entry=entry.id, reason=reason):
            log.warning(Event.BURIED, entry=entry.id, reason=reason, trace_id=trace_id)
        return None

    def _letter(self, read: Read) -> Letter | None:
        return letter(read.command, entry=read.entry, duration_s=self._settings.exam_duration)

    def _calls(self, letters: Sequence[Letter]) -> list[Message]:
        route = ROUTES["exam.start"]
        return [
            Message(
                route=route,
                task_id=new_task_id(),
                args=(pks,),
                trace=trace_for(pks, letters),
            )
            for pks in bells([letter.pk for letter in letters])
        ]

    def _echoes(self, reads: Sequence[Read]) -> list[Message]:
        default_s = self._settings.echo_delay
        return [
            Message(
                route=ROUTES["echo"],
                task_id=new_task_id(),
                trace=read.step or trace.child(read.trace),
                kwargs={
                    "entry": read.entry,
                    "command_id": read.command_id,
                    "source": read.command.source,
                    "text": data.text,
                    "delay": default_s if data.delay is None else data.delay,
                },
            )
            for read in reads
            if isinstance(data := read.command.data, Echo)
        ]
