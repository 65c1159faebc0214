"""Simulation: one history of the whole design, from a seed, on a fake clock."""

from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from random import Random

from filestore.exam import Verdict, transition
from filestore.fact import Status, Type
from ops.chaos.oracle import Came, expected
from support.simulated import LEASE_MS, Broken, Command, Entry, World

#: An actor: it yields wherever something else may run, or it may be killed.
Actor = Generator[None, None, None]
#: Milliseconds for which faults happen, and after which a history is given up.
FAULTS_MS = 1_500
PATIENCE_MS = 20_000
#: Actors of each kind.
DISPATCHERS = 2
WORKERS = 3


@dataclass(slots=True)
class History:
    """What came of one seed."""

    seed: int
    violations: list[str] = field(default_factory=list)
    kills: int = 0
    lost_bells: int = 0
    ends: Counter[str] = field(default_factory=Counter)


def dispatcher(world: World, token: str, rng: Random) -> Actor:
    """Be the active one whenever the lease can be had."""
    while True:
        yield
        if not world.take_lease(token):
            continue
        world.ensure_group()
        if not world.broken.no_recovery_first:
            yield
            if not (yield from _dispatch(world, token, world.read_pending(token, idle_only=False))):
                continue
        is_active = True
        while is_active:
            yield
            world.promote()
            yield
            new = world.read_new(token, rng.randint(1, 4))
            yield
            is_active = yield from _dispatch(world, token, new)
            if is_active:
                idle = world.read_pending(token, idle_only=True)
                is_active = yield from _dispatch(world, token, idle)


def _dispatch(world: World, token: str, entries: list[Entry] | None) -> Generator[None, None, bool]:
    """Place, then ring; the lease may be lost before."""
    if entries is None:
        return False
    yield
    if not world.place(token, entries):
        return False
    by_entry = dict(world.stream)
    for pk in dict.fromkeys(by_entry[entry].pk for entry in entries):
        yield
        world.bells.append(pk)
    return True


def worker(world: World, rng: Random) -> Actor:
    """Answer bells. A bell that was taken is gone, whatever becomes of its worker."""
    me = object()
    while True:
        yield
        if not world.bells:
            continue
        pk = world.bells.pop(0)
        yield
        if not world.broken.no_lock:
            if pk in world.locks:
                continue
            world.locks[pk] = me
        try:
            yield from _answer(world, pk, rng)
        finally:  # killed or not: the kernel lets go of it
            if world.locks.get(pk) is me:
                del world.locks[pk]


def _answer(world: World, pk: str, rng: Random) -> Actor:
    letters = list(world.inboxes.get(pk, {}).values())
    if world.broken.no_inbox_order and letters:
        letters = [rng.choice(letters)]
    yield
    if not letters:
        return
    exam = world.disk.get(pk)
    yield
    outcome = transition(pk, exam, letters)
    if world.broken.ack_before_save:
        world.settle(pk, outcome)
    yield
    if outcome.exam and outcome.new:
        world.save(pk, outcome.exam)
    yield
    world.settle(pk, outcome)
    if world.broken.no_inbox_order and world.inboxes.get(pk):
        world.bells.append(pk)


def play(seed: int, broken: Broken = Broken()) -> History:  # noqa: B008 - frozen
    """Play one history, and judge it."""
    rng = Random(seed)
    world = World(broken)
    history = History(seed)
    stage = Stage(world, rng, history)
    plan = sorted(_plan(rng, world.now_ms), key=lambda one: one[0])
    sent: list[tuple[str, Command]] = []
    began_ms = world.now_ms
    while world.now_ms - began_ms < PATIENCE_MS:
        while plan and plan[0][0] <= world.now_ms:
            command = plan.pop(0)[1]
            sent.append((world.add(command), command))
        is_calm = world.now_ms - began_ms > FAULTS_MS
        if is_calm and not plan and world.is_at_rest():
            break
        stage.step(is_calm=is_calm)
    else:
        history.violations.append("not at its end")
    _judge(world, sent, history)
    return history


class Stage:
    """The actors, and who of them takes the next step."""

    def __init__(self, world: World, rng: Random, history: History) -> None:
        self._world = world
        self._rng = rng
        self._history = history
        tokens = iter(range(1_000_000))
        self._cast: list[Callable[[], Actor]] = [
            *([lambda: dispatcher(world, f"d{next(tokens)}", rng)] * DISPATCHERS),
            *([lambda: worker(world, rng)] * WORKERS),
        ]
        self._actors = [make() for make in self._cast]
        self._asleep_ms = [0] * len(self._cast)

    def step(self, *, is_calm: bool) -> None:
        """Let somebody take a step; now and then the clock moves, or harm is done."""
        if self._rng.random() < 0.25:
            self._world.now_ms += self._rng.randint(1, 6)
        who = self._rng.randrange(len(self._actors))
        if not is_calm:
            self._harm(who, self._rng.random())
        if self._asleep_ms[who] <= self._world.now_ms:
            next(self._actors[who])

    def _harm(self, who: int, chance: float) -> None:
        bells = self._world.bells
        if chance < 0.01:
            self._actors[who].close()
            self._actors[who] = self._cast[who]()
            self._history.kills += 1
        elif chance < 0.02:
            self._asleep_ms[who] = self._world.now_ms + self._rng.randint(1, 4 * LEASE_MS)
        elif chance < 0.03 and bells:
            bells.pop(self._rng.randrange(len(bells)))
            self._history.lost_bells += 1
        elif chance < 0.04 and bells:
            bells.append(self._rng.choice(bells))


def _plan(rng: Random, now_ms: int) -> list[tuple[int, Command]]:
    """Say when which command comes: most results near the deadline."""
    plan = []
    for number in range(rng.randint(1, 3)):
        pk = f"x{number}"
        start_ms = now_ms + rng.randint(0, 300)
        deadline_ms = start_ms + 1_000
        plan.append((start_ms, Command(pk, Type.START, 1)))
        for _ in range(rng.choice((0, 1, 1, 2))):
            at_ms = deadline_ms + rng.randint(-60, 20)
            if rng.random() < 0.2:
                at_ms = start_ms + rng.randint(-20, 400)
            result = Command(pk, Type.FINISH, rng.choice(("pass", "fail")), f"{rng.random()}")
            plan.append((at_ms, result))
            if rng.random() < 0.2:
                plan.append((at_ms + rng.randint(0, 30), result))
        if rng.random() < 0.2:
            plan.append((start_ms + rng.randint(0, 900), Command(pk, Type.START, 2)))
        if rng.random() < 0.2:
            forged = Command(pk, Type.EXPIRE, deadline_ms)
            plan.append((deadline_ms - rng.randint(0, 500), forged))
    return plan


def _judge(world: World, sent: list[tuple[str, Command]], history: History) -> None:
    """Hold what was acknowledged against what is on the disk, and was ever shown there."""
    for pk in sorted({command.pk for _, command in sent}):
        mine = [(entry, command) for entry, command in sent if command.pk == pk]
        came = [Came(entry=e, type=c.type, value=c.value) for e, c in mine if c.type != Type.EXPIRE]
        wanted = expected(came)
        exam = world.disk.get(pk)
        if exam is None or wanted is None:
            history.violations.append(f"lost: {pk}")
            continue
        status = exam.standing.status
        history.ends[status] += 1
        found = Counter(record.fact.entry for record in exam.history)
        history.violations += [f"lost: {pk} {entry}" for entry, _ in mine if not found[entry]]
        history.violations += [f"twice: {pk} {entry}" for entry, n in found.items() if n > 1]
        shown = [(seen, at_ms) for name, seen, at_ms in world.shown if name == pk]
        if wanted.status != "absent" and Status.ABSENT in [seen for seen, _ in shown]:
            history.violations.append(f"false absent: {pk} was {wanted.status} in time")
        elif status != wanted.status:
            history.violations.append(f"wrong end: {pk} is {status}, not {wanted.status}")
        if [at for seen, at in shown if seen is Status.ABSENT and at <= wanted.deadline_ms]:
            history.violations.append(f"early: {pk}")
        if [record for record in exam.history if record.verdict is Verdict.CORRECTED]:
            history.violations.append(f"corrected: {pk}")
