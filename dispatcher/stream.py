"""Stream: read entries once, in order, and take up again those that nobody finished."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import redis.exceptions
from redis import Redis

from dispatcher.lease import LEASE_MS, LeaseLost
from ops import keys, outage
from ops.connect import GREATEST_ID
from tasks.inbox import Letter, encode

#: Entries per read. Of commands that is 16 MiB at most; what a stranger pushes may be larger.
READ_COUNT = 256
#: Celery messages that may wait for the exam workers. One that waits says that they are all busy:
#: what comes in meanwhile stands in line, and shares a bell when there is room. A message costs its
#: sender and its receiver a millisecond or two each, an exam in it next to nothing.
MOST_BELLS = 1
#: Echoes that may wait in the slow queue; more stay pending, and go when there is room.
MOST_ECHOES = 1_000
#: Milliseconds until an entry that was not acknowledged is taken up again: after the first
#: delivery, doubling with each, up to the longest.
IDLE_MS = 5_000
LONGEST_IDLE_MS = 60_000
#: Pending entries looked at in one round trip when searching for idle ones, and round trips.
PENDING_COUNT = 1_000
PENDING_PAGES = 20
#: Milliseconds for which what was told of the line is true.
LINE_KEPT_MS = 3_000
#: Entries in one page of a search through the whole stream.
PAGE_COUNT = 500
#: In a script, because redis-py makes a dict of the fields: a name that stands twice must be seen.
_PAGE = "return redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])"
NOTHING: Mapping[str, Sequence[str]] = {}
NO_MORE_IDS = (
    f"{keys.COMMANDS} has an entry with the greatest id there is, so it takes no more: docs/"
    "architecture.md says, under Known limits, how to make it anew"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A command as it lies in the stream; *fields* in their order, not decoded."""

    id: str
    fields: tuple[tuple[bytes, bytes], ...]


class Stream:
    """
    The stream of commands, as the dispatcher with one *token* sees it.

    Attributes:
        has_room: Whether the exam workers had room for a bell when it was read last, and none was
            sent since.
    """

    def __init__(self, redis: Redis, *, token: str) -> None:
        self._redis = redis
        self._token = token
        self._last = "0-0"
        self.has_room = True
        load = files("dispatcher").joinpath
        self._read = redis.register_script(load("read.lua").read_text())
        self._claim = redis.register_script(load("claim.lua").read_text())
        self._trim = redis.register_script(load("trim.lua").read_text())
        self._page = redis.register_script(_PAGE)
        self._place = redis.register_script(load("place.lua").read_text())

    def ensure_group(self) -> None:
        """Make stream and group where they are missing, from the first entry on."""
        try:
            self._redis.xgroup_create(keys.COMMANDS, keys.GROUP, id="0", mkstream=True)
        except redis.exceptions.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        named = {group["name"]: group for group in self._redis.xinfo_groups(keys.COMMANDS)}
        self._last = named[keys.GROUP.encode()]["last-delivered-id"]
        newest: Any = self._redis.xinfo_stream(keys.COMMANDS)
        _note_ids(newest["last-generated-id"].decode())

    def read_new(self, most: int = READ_COUNT) -> list[Entry]:
        """
        Read what nobody has read, and see whether the exam workers have room.

        Args:
            most: Entries; with 0 the lease is renewed all the same.

        Raises:
            LeaseLost: Another dispatcher is active.
        """
        return self._read_after(">", most=most)

    def read_pending(self, after: str) -> list[Entry]:
        """
        Read again what was read and not acknowledged, the oldest first, from *after* on.

        Raises:
            LeaseLost: Another dispatcher is active.
        """
        return self._read_after(after)

    def claim_idle(
        self, consumer: str, *, most: int = READ_COUNT, but: Container[str] = ()
    ) -> list[Entry]:
        """
        Take up again entries of *consumer* whose delivery came to nothing.

        Args:
            but: Entries that are known to wait.

        Raises:
            LeaseLost: Another dispatcher is active.
        """
        stale = self._stale(consumer, but)[: min(most, READ_COUNT)] if most else []
        if not stale:
            return []
        names = [keys.LEASE, keys.COMMANDS, keys.IN_HAND]
        arguments: list[str | int] = [self._token, keys.GROUP, consumer, IDLE_MS]
        arguments += stale
        return _entries(self._claim(keys=names, args=arguments))

    def place(
        self,
        letters: Sequence[Letter],
        *,
        echoes: Sequence[str] = (),
        messages: Mapping[str, Sequence[str]] = NOTHING,
        has_more: bool = False,
        is_new: bool = False,
    ) -> None:
        """
        Put letters into their inboxes, hand echoes over, and have nothing in hand any more.

        The messages that tell the workers of it go out with it, or not at all.

        Args:
            echoes: Their entry ids.
            messages: Celery's queue to messages for it.
            has_more: Whether others were read, by this dispatcher or the one before it, and are not
                placed yet: until they are, nobody may say that an exam has no start.
            is_new: Whether the letters' entries were read for the first time, by the last
                `read_new`: then nobody asks if they were acknowledged since.

        Raises:
            LeaseLost: Another dispatcher is active.
        """
        inboxes = [keys.inbox(letter.pk) for letter in letters]
        entries, texts = [letter.entry for letter in letters], [encode(one) for one in letters]
        in_hand = keys.NOWHERE if has_more else keys.IN_HAND
        exam, slow = (messages.get(queue, ()) for queue in (keys.QUEUE_EXAM, keys.QUEUE_SLOW))
        queues = [keys.CELERY + keys.QUEUE_EXAM, keys.CELERY + keys.QUEUE_SLOW]
        names = [keys.LEASE, keys.COMMANDS, in_hand, keys.TIMES, *queues, *inboxes]
        arguments: list[str | int] = [self._token, keys.GROUP, keys.SLOW_CONSUMER, int(is_new)]
        arguments += [len(exam), *exam, len(slow), *slow, *entries, *texts, *echoes]
        if self._place(keys=names, args=arguments) < 0:
            raise LeaseLost
        if exam:
            self.has_room = False  # as far as anyone knows before the next look

    def tell_line(self, waiting: int, waited_s: float) -> None:
        """Let the gateways know how many stand in line, and for how long; they let more in."""
        if waiting:
            self._redis.set(keys.LINE, f"{waiting} {waited_s * 1000:.0f}", px=LINE_KEPT_MS)
        else:
            self._redis.delete(keys.LINE)

    def freshen(self, entries: Sequence[str]) -> None:
        """Begin to count anew for how long entries have been left alone: they stood in line."""
        self._redis.xclaim(keys.COMMANDS, keys.GROUP, keys.CONSUMER, 0, list(entries), justid=True)

    def echo_room(self) -> int:
        """How many echoes the slow queue has room for; more of them stay pending."""
        depth = self._redis.llen(keys.CELERY + keys.QUEUE_SLOW)
        return max(0, MOST_ECHOES - int(depth))

    def trim(self, *, retention_s: int) -> int:
        """Remove entries older than that, below all that is pending or unread; return how many."""
        return int(self._trim(keys=[keys.COMMANDS, keys.TIMES], args=[retention_s * 1000]))

    def page(self, after: str, *, until: str) -> list[Entry]:
        """List `PAGE_COUNT` entries behind *after*, up to *until*, whoever has read them."""
        found = self._page(keys=[keys.COMMANDS], args=[f"({after}", until, PAGE_COUNT])
        return [_entry(name, fields) for name, fields in found]

    def wait(self, most_ms: int) -> None:
        """Return when there is something to read, after *most_ms* milliseconds at the latest."""
        self._redis.xread({keys.COMMANDS: self._last}, count=1, block=max(1, most_ms))

    def _stale(self, consumer: str, but: Container[str]) -> list[str]:
        """Page through what *consumer* holds and has left alone; the oldest first."""
        stale: list[str] = []
        after = "-"
        for _ in range(PENDING_PAGES):
            page: Any = self._redis.xpending_range(
                *(keys.COMMANDS, keys.GROUP),
                min=after,
                max="+",
                count=PENDING_COUNT,
                consumername=consumer,
                idle=IDLE_MS,
            )
            stale += [
                entry
                for pending in page
                if is_stale(pending["time_since_delivered"], pending["times_delivered"])
                if (entry := str(pending["message_id"], "ascii")) not in but
            ]
            if len(page) < PENDING_COUNT or len(stale) >= READ_COUNT:
                break
            after = "(" + str(page[-1]["message_id"], "ascii")
        return stale

    def _read_after(self, after: str, *, most: int = READ_COUNT) -> list[Entry]:
        names = [keys.LEASE, keys.COMMANDS, keys.IN_HAND, keys.CELERY + keys.QUEUE_EXAM]
        arguments: list[str | int] = [self._token, LEASE_MS, keys.GROUP, keys.CONSUMER]
        arguments += [after, most]
        reply = self._read(keys=names, args=arguments)
        entries = _entries(reply)
        self.has_room = reply[2] < MOST_BELLS
        if after == ">" and entries:
            self._last = entries[-1].id
            _note_ids(entries[-1].id)
        return entries


def is_stale(idle_ms: int, deliveries: int) -> bool:
    """Whether an entry was left alone for long enough: twice as long after each delivery."""
    doubled: int = IDLE_MS << min(max(deliveries - 1, 0), 10)
    return idle_ms >= min(doubled, LONGEST_IDLE_MS)


def _note_ids(newest: str) -> None:
    """Say once that the stream takes no more entries; nothing else would, until one is due."""
    if newest == GREATEST_ID:
        outage.STREAM.went_on(redis.exceptions.ResponseError(NO_MORE_IDS))
    else:
        outage.STREAM.ended()


def _entries(reply: Sequence[Any]) -> list[Entry]:
    match reply:
        case [b"read", [*entries], *_]:
            return [_entry(name, fields) for name, fields in entries]
        case _:
            raise LeaseLost


def _entry(name: bytes, fields: Sequence[bytes] | None) -> Entry:
    """Pair up names and values. An entry that was deleted while pending has none."""
    flat = fields or ()
    return Entry(name.decode(), tuple(zip(flat[::2], flat[1::2], strict=True)))
