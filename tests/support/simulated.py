"""Simulated: Redis and the disk, as the design needs them; each method is one atomic step."""

from dataclasses import dataclass, field

from filestore.exam import Exam, Record, Transition
from filestore.fact import Fact, Status, Type

#: Milliseconds: of a lease, and of the first and longest time an entry is left alone.
LEASE_MS = 20
IDLE_MS = 40
LONGEST_IDLE_MS = 320

Entry = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Rules of the design that a history does without; each is one mutant."""

    ack_before_save: bool = False
    group_from_end: bool = False
    trims_unread: bool = False
    pops: bool = False
    no_watermark: bool = False
    no_inbox_order: bool = False
    no_lock: bool = False
    no_fence: bool = False
    no_recovery_first: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a producer sends it."""

    pk: str
    type: Type
    value: int | str
    id: str | None = None


@dataclass(slots=True)
class World:
    """All state that outlives an actor."""

    broken: Broken
    now_ms: int = 1_000_000
    stream: list[tuple[Entry, Command]] = field(default_factory=list)
    read: int = 0
    has_group: bool = False
    pending: dict[Entry, tuple[int, int]] = field(default_factory=dict)
    inboxes: dict[str, dict[Entry, Fact]] = field(default_factory=dict)
    deadlines: dict[str, int] = field(default_factory=dict)
    lease: tuple[str, int] = ("", 0)
    bells: list[str] = field(default_factory=list)
    disk: dict[str, Exam] = field(default_factory=dict)
    locks: dict[str, object] = field(default_factory=dict)
    shown: list[tuple[str, Status, int]] = field(default_factory=list)

    def add(self, command: Command) -> str:
        """XADD; return the entry's id."""
        last = max((entry for entry, _ in self.stream), default=(0, 0))
        entry = (self.now_ms, 0) if self.now_ms > last[0] else (last[0], last[1] + 1)
        self.stream.append((entry, command))
        if self.broken.trims_unread and len(self.stream) - self.read > 3:
            self.read += 1
        return f"{entry[0]}-{entry[1]}"

    def take_lease(self, token: str) -> bool:
        """SET NX PX."""
        if self.lease[1] <= self.now_ms:
            self.lease = (token, self.now_ms + LEASE_MS)
        return self.lease[0] == token

    def holds(self, token: str) -> bool:
        """Whether the caller is the active dispatcher; every script begins with this."""
        return self.broken.no_fence or (self.lease[0] == token and self.lease[1] > self.now_ms)

    def ensure_group(self) -> None:
        """XGROUP CREATE."""
        if not self.has_group and self.broken.group_from_end:
            self.read = len(self.stream)
        self.has_group = True

    def read_new(self, token: str, most: int) -> list[Entry] | None:
        """XREADGROUP >; None when the lease is lost."""
        if not self.holds(token):
            return None
        self.lease = (token, self.now_ms + LEASE_MS)
        entries = [entry for entry, _ in self.stream[self.read : self.read + most]]
        self.read += len(entries)
        if not self.broken.pops:
            self.pending |= dict.fromkeys(entries, (1, self.now_ms))
        return entries

    def read_pending(self, token: str, *, idle_only: bool) -> list[Entry] | None:
        """XREADGROUP 0, or XCLAIM of what has been idle for long enough."""
        if not self.holds(token):
            return None
        found = []
        for entry, (times, at_ms) in sorted(self.pending.items()):
            idle_ms = min(IDLE_MS << (times - 1), LONGEST_IDLE_MS)
            if not idle_only or self.now_ms - at_ms >= idle_ms:
                self.pending[entry] = (times + 1, self.now_ms)
                found.append(entry)
        return found

    def place(self, token: str, entries: list[Entry]) -> bool:
        """Put letters into inboxes; False when the lease is lost."""
        if not self.holds(token):
            return False
        by_entry = dict(self.stream)
        for entry in entries:
            if self.broken.pops or entry in self.pending:
                inbox = self.inboxes.setdefault(by_entry[entry].pk, {})
                inbox.setdefault(entry, self.fact(entry, by_entry[entry]))
        return True

    def fact(self, entry: Entry, command: Command) -> Fact:
        """Judge a command by the time of its entry, or now if that lies in the future."""
        name = f"{entry[0]}-{entry[1]}"
        return Fact(
            at_ms=min(entry[0], self.now_ms),
            entry=name,
            command=command.id or name,
            source=None,
            type=command.type,
            value=command.value,
        )

    def promote(self) -> None:
        """Turn due deadlines into commands on the stream."""
        for pk, deadline_ms in sorted(self.deadlines.items()):
            if deadline_ms < self.now_ms:
                del self.deadlines[pk]
                self._expire(Command(pk, Type.EXPIRE, deadline_ms))

    def _expire(self, command: Command) -> None:
        self.add(command)
        if self.broken.no_watermark:  # it overtakes what is not read, as a timer's call would
            entry, _ = self.stream.pop()
            self.stream.insert(self.read, (entry, command))
            self.read += 1
            self.pending[entry] = (1, self.now_ms - IDLE_MS)

    def save(self, pk: str, exam: Exam) -> None:
        """Write the file; what it shows is seen by everyone."""
        self.disk[pk] = exam
        self.shown.append((pk, exam.standing.status, self.now_ms))

    def settle(self, pk: str, outcome: Transition) -> None:
        """MULTI: the deadline from the state, the letters out of the inbox, XACK."""
        if outcome.exam is None:
            return
        if outcome.exam.standing.status is Status.STARTED:
            self.deadlines[pk] = outcome.exam.standing.deadline_ms
        else:
            self.deadlines.pop(pk, None)
        self.acknowledge(pk, (*outcome.known, *outcome.new))

    def acknowledge(self, pk: str, records: tuple[Record, ...]) -> None:
        """HDEL and XACK."""
        for record in records:
            ms, _, number = record.fact.entry.partition("-")
            self.pending.pop((int(ms), int(number)), None)
            self.inboxes.get(pk, {}).pop((int(ms), int(number)), None)

    def is_at_rest(self) -> bool:
        """Whether nothing is under way."""
        is_read = self.read >= len(self.stream)
        return is_read and not (self.pending or self.deadlines or any(self.inboxes.values()))
