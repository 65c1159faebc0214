"""
Explorer: the product's own code on a real Redis and a real disk, in an order that a seed chooses.

Dispatchers and workers run as green threads of one process. Each stops before every command to
Redis and around every write of a file; there another one goes on, or it is killed, or frozen for
longer than a lease lives.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any, cast
from unittest.mock import patch

import redis
from greenlet import GreenletExit, getcurrent, greenlet
from redis.client import Pipeline

import dispatcher.bell
import dispatcher.lease
import dispatcher.stream
import dispatcher.turns
import tasks.exam
from dispatcher.lease import LeaseLost
from dispatcher.stream import Stream
from dispatcher.turns import Dispatcher
from filestore.exam import Exam
from filestore.store import Store
from ops import keys, logins
from ops.chaos.oracle import Came, expected
from ops.roles import Role
from ops.settings import Settings
from support import users

#: Milliseconds, far shorter than in life: of a lease, until an entry counts as idle, at most.
LEASE_MS, IDLE_MS, LONGEST_IDLE_MS = 40, 200, 400
#: Seconds between the dispatcher's looks at what is idle, and between two sweeps.
CLAIM_EVERY_S, SWEEP_EVERY_S = 0.02, 0.1
#: Seconds for which things break.
FAULTS_S = 1.3
#: Seconds for which a frozen one sleeps.
FROZEN_S = 0.1
#: How often a worker's step, and a dispatcher's, is its last one, or is followed by a sleep. Rare
#: kills miss the one gap that a broken rule leaves: at 0.003 a worker that acknowledges too early
#: was seen in 2 histories of 12, at 0.03 in 20 of 20.
KILLED = {"work": 0.03, "dispatch": 0.03}
FROZEN = {"work": 0.003, "dispatch": 0.04}
DISPATCHERS, WORKERS, EXAMS = 2, 3, 24
#: How often a bell rings.
RINGS = (0, *[1] * 30, *[2] * 9)
#: Seconds after the deadline at which results come.
LATE_S = (-0.02, -0.01, -0.005, 0, 0.03)
#: Exams that were started before anyone is there to see to them.
SENT_BEFORE = 3
DURATION_S = 1


def step() -> None:
    """Let somebody else go on."""
    hub = getcurrent().parent
    if hub is not None:
        hub.switch()


class SteppingPipeline(Pipeline):
    """A pipeline before which somebody else may go on."""

    def execute(self, raise_on_error: bool = True) -> Any:
        """Step, then send."""
        step()
        return super().execute(raise_on_error)


class SteppingRedis(redis.Redis):
    """A client before each of whose commands somebody else may go on."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Step, then send."""
        step()
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:
        """Make a pipeline that steps."""
        return SteppingPipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )


class Never(threading.Event):
    """Nobody asks to stop; who waits for it lets somebody else go on."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - its own name for it
        """Step."""
        step()
        return False


class World:
    """All that outlives a green thread, and who plays in it."""

    def __init__(self, settings: Settings, folder: Path, seed: int) -> None:
        self.rng = Random(seed)
        self.settings = settings.model_copy(update={"data": folder, "exam_duration": DURATION_S})
        self.redis = _as(settings, None)
        self.dispatcher = _as(settings, Role.DISPATCHER)
        self.worker = _as(settings, Role.WORKER)
        self.store = Store(self.settings.exams)
        self.bells: list[list[str]] = []
        self.came: dict[str, list[Came]] = defaultdict(list)
        self.shown: list[tuple[str, str]] = []
        self.kills = 0
        self.actors: dict[greenlet, tuple[Callable[[], None], float]] = {}
        self._born = 0

    def produce(self) -> None:
        """Push starts, results around their deadlines, and doubles."""
        plan: list[tuple[float, str, str, dict[str, Any]]] = []
        for number in range(EXAMS):
            pk, at_s = f"x{number}", self.rng.uniform(0, 0.2)
            plan.append((at_s, pk, "exam.start", {"duration": DURATION_S}))
            for _ in range(self.rng.choice((0, 1, 1, 2))):
                after_s = self.rng.choice((0.02, *(DURATION_S + late_s for late_s in LATE_S)))
                status: dict[str, Any] = {"status": self.rng.choice(("pass", "fail"))}
                plan.append((at_s + after_s, pk, "exam.finish", status))
        began = time.monotonic()
        for at_s, pk, kind, data in sorted(plan, key=lambda one: one[0]):
            while time.monotonic() - began < at_s:
                step()
            text = str({"pk": pk, **data}).replace("'", '"')
            entry: Any = self.redis.xadd(keys.COMMANDS, {"type": kind, "data": text})
            [value] = data.values()
            self.came[pk].append(Came(entry=entry.decode(), type=kind, value=value))

    def dispatch(self) -> None:
        """Be a dispatcher, as `dispatcher.loop` is one."""
        self._born += 1
        token = f"token-{self._born}"
        while True:
            if dispatcher.lease.take(self.dispatcher, token=token):
                one = Dispatcher(
                    self.dispatcher,
                    app=None,
                    settings=self.settings,
                    token=token,
                    stop=Never(),
                    on_turn=lambda: None,
                )
                try:
                    one.serve()
                except LeaseLost:
                    continue

    def work(self) -> None:
        """Be a worker: what Celery gives it is gone once it was given."""
        while True:
            step()
            if self.bells:
                tasks.exam.exam(self.bells.pop(0))

    def save(self, store: Store, exams: Sequence[Exam]) -> None:
        """Write files, which everyone sees from then on."""
        step()
        _SAVE(store, exams)
        self.shown += [(exam.pk, exam.standing.status.value) for exam in exams]
        step()

    def read(self, stream: Stream, *args: Any, **kwargs: Any) -> Any:
        """Read entries; workers that have a bell to answer have no room for another."""
        entries = _READ(stream, *args, **kwargs)
        stream.has_room = not self.bells
        return entries

    def place(self, stream: Stream, *args: Any, messages: Any = None, **kwargs: Any) -> None:
        """Place letters and ring, in one step; a bell may be lost, or rung twice."""
        _PLACE(stream, *args, **kwargs)
        stream.has_room = stream.has_room and not messages
        for pks in messages or ():
            self.bells += [pks] * self.rng.choice(RINGS)

    def enter(self, act: Callable[[], None]) -> None:
        """Let somebody in."""
        self.actors[greenlet(act)] = (act, 0.0)

    def play(self, *, patience_s: float) -> list[str]:
        """Play until all is at rest, or patience is at its end; return what went wrong."""
        began = rested = time.monotonic()
        self.enter(self.produce)
        while len(self.came) < SENT_BEFORE:
            self._move(began, is_calm=True)
        for act in (*[self.dispatch] * DISPATCHERS, *[self.work] * WORKERS):
            self.enter(act)
        while (now := time.monotonic()) - began < patience_s:
            self._move(now, is_calm=now - began > FAULTS_S)
            if any(status == "absent" and self._had_time(pk) for pk, status in self.shown):
                self._end()
                return ["false absent"]
            if now - rested > 0.05:
                rested = now
                if now - began > FAULTS_S and self._is_at_rest():
                    break
        self._end()
        return self._judge()

    def _move(self, now: float, *, is_calm: bool) -> None:
        actor = self.rng.choice(list(self.actors))
        act, frozen_until = self.actors[actor]
        if actor.dead:
            del self.actors[actor]
        elif now >= frozen_until:
            actor.switch()
            if is_calm or actor.dead or act == self.produce:
                return
            if self.rng.random() < KILLED[act.__name__]:
                self.kills += 1
                actor.throw(GreenletExit)
                del self.actors[actor]
                self.enter(act)
            elif self.rng.random() < FROZEN[act.__name__]:
                self.actors[actor] = (act, now + FROZEN_S)

    def _end(self) -> None:
        for actor in self.actors:
            actor.throw(GreenletExit)

    def _had_time(self, pk: str) -> bool:
        end = expected(self.came[pk])
        return end is not None and end.status != "absent"

    def _is_at_rest(self) -> bool:
        if not all(self.came) or self.redis.zcard(keys.DEADLINES) or self.bells:
            return False
        [group] = self.redis.xinfo_groups(keys.COMMANDS) or [{"pending": 1, "lag": 1}]
        return not group["pending"] and not group["lag"] and len(self.came) == EXAMS

    def _judge(self) -> list[str]:
        found = []
        ends: Any = self.redis.hgetall(keys.COUNTS)
        for pk, came in self.came.items():
            end, exam = expected(came), self.store.load(pk)
            assert end
            if exam is None or exam.standing.status != end.status:
                found.append(
                    f"wrong end: {pk} {exam and exam.standing.status.value}, not {end.status}"
                )
        decided = sum(int(number) for status, number in ends.items() if status != b"started")
        if not found and decided != len(self.came):
            found.append(f"twice: {decided} decisions of {len(self.came)} exams were told")
        return found


def _as(settings: Settings, role: Role | None) -> SteppingRedis:
    """Connect as a role; without one as the administrator, who produces and judges."""
    who: dict[str, Any] = {"username": users.ADMIN, "password": "any"}
    if role:
        who = {"credential_provider": logins.of(settings, role)}
    return cast(SteppingRedis, SteppingRedis.from_url(settings.redis, **who))


def _pks_of(_: object, messages: list[Any]) -> list[Any]:
    """Write messages as this world's bells are written."""
    return [message.args[0] for message in messages]


_SAVE, _PLACE, _READ = Store.save_all, Stream.place, Stream._read_after


@contextmanager
def world(settings: Settings, folder: Path, seed: int) -> Iterator[World]:
    """A world to play in, with its clocks wound up, and the product's code bound to it."""
    one = World(settings, folder, seed)
    one.redis.flushall()
    one.store.prepare()
    patches = [
        (dispatcher.lease, "LEASE_MS", LEASE_MS),
        (dispatcher.stream, "LEASE_MS", LEASE_MS),
        (dispatcher.stream, "IDLE_MS", IDLE_MS),
        (dispatcher.stream, "LONGEST_IDLE_MS", LONGEST_IDLE_MS),
        (dispatcher.turns, "CLAIM_EVERY_S", CLAIM_EVERY_S),
        (dispatcher.turns, "SWEEP_EVERY_S", SWEEP_EVERY_S),
        (dispatcher.bell.Bells, "write", _pks_of),
        (Stream, "place", lambda *args, **kwargs: one.place(*args, **kwargs)),  # noqa: PLW0108
        (Stream, "_read_after", lambda *args, **kwargs: one.read(*args, **kwargs)),  # noqa: PLW0108
        (dispatcher.turns, "STOOD_S", 0.01),
        (Stream, "wait", lambda *_: step()),
        (time, "sleep", lambda _: step()),
        (Store, "save_all", lambda store, exams: one.save(store, exams)),  # noqa: PLW0108 - it binds
        (tasks.exam, "redis_client", lambda: one.worker),
        (tasks.exam, "store", lambda: one.store),
    ]
    with ExitStack() as stack:
        for client in (one.redis, one.dispatcher, one.worker):
            stack.callback(client.close)
        for where, name, value in patches:
            stack.enter_context(patch.object(where, name, value))
        yield one
