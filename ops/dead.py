"""Dead: read the dead letters, choose among them, and do as people decide."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from redis import Redis

from ingest.commands import decode, given_trace
from ingest.faults import InvalidCommand
from ops import keys, trace
from ops.events import Event
from tasks import dead

#: Letters read in one round trip.
PAGE = 500
#: Before the names of a producer's own fields.
FIELD = b"field:"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """
    An entry that was set aside.

    Attributes:
        id: Its own id, among the dead letters.
        ours: What was noted at its burial: entry, at, reason, deliveries, error.
        fields: The entry's, as its producer wrote them.
    """

    id: str
    ours: dict[str, str]
    fields: tuple[tuple[bytes, bytes], ...]

    @property
    def at_ms(self) -> int:
        """When the command came in."""
        return int(self.ours.get("at") or self.ours["entry"].partition("-")[0])

    @property
    def type(self) -> str | None:
        """What it says it is."""
        return self._text(b"type")

    @property
    def command_id(self) -> str:
        """The producer's id, or the entry's."""
        return self._text(b"id") or self.ours["entry"]

    @property
    def trace_id(self) -> str:
        """What its lines are known by: of the producer's trace, or the entry's."""
        return (given_trace(self.fields) or trace.derived(self.ours["entry"])).trace_id

    @property
    def pk(self) -> str | None:
        """The exam it speaks of, if it does."""
        try:
            data = json.loads(dict(self.fields).get(b"data", b""))
        except (ValueError, RecursionError):
            return None
        pk = data.get("pk") if isinstance(data, dict) else None
        return pk if isinstance(pk, str) else None

    @property
    def fault(self) -> str:
        """Why it would be buried again at once; empty when it is a command."""
        if not self.fields:
            return "the entry was deleted from the stream: nothing is left of it"
        try:
            decode(self.fields)
        except InvalidCommand as error:
            return str(error)
        return ""

    def shown(self) -> dict[str, Any]:
        """Make an object of all of it; bytes that are no text are escaped."""
        own = {_readable(name): _readable(value) for name, value in self.fields}
        head = {"id": self.id, "type": self.type, "pk": self.pk, "command_id": self.command_id}
        return {**head, **self.ours, "at_ms": self.at_ms, "fault": self.fault, "fields": own}

    def _text(self, name: bytes) -> str | None:
        value = dict(self.fields).get(name)
        return None if value is None else _readable(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which letters are meant: these ids if there are any, and of them those that fit."""

    ids: Sequence[str] = field(default=())
    pk: str | None = None
    type: str | None = None
    matching: str | None = None

    def fits(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            (not self.ids or letter.id in self.ids)
            and self.pk in (None, letter.pk)
            and self.type in (None, letter.type)
            and (self.matching or "").lower() in letter.ours["reason"].lower()
        )


def read(redis: Redis, choice: Choice) -> Iterator[Letter]:
    """Read the letters that are meant, the oldest burial first, a page at a time."""
    after = "-"
    while True:
        page: Any = redis.xrange(keys.DEAD, min=after, max="+", count=PAGE)
        for name, fields in page:
            letter = parse(name.decode(), fields)
            if letter and choice.fits(letter):
                yield letter
        if len(page) < PAGE:
            return
        after = f"({page[-1][0].decode()}"


def parse(letter_id: str, fields: dict[bytes, bytes]) -> Letter | None:
    """Tell our notes from the producer's fields; None for what no burial of ours wrote."""
    own = [(name, value) for name, value in fields.items() if name.startswith(FIELD)]
    ours = {_readable(n): _readable(v) for n, v in fields.items() if not n.startswith(FIELD)}
    if not {"entry", "reason"} <= ours.keys():
        return None
    stripped = tuple((name.removeprefix(FIELD), value) for name, value in own)
    return Letter(id=letter_id, ours=ours, fields=stripped)


def replay(redis: Redis, letter: Letter, *, by: str, why: str) -> str | None:
    """Put a letter back onto the stream, and log it; None when somebody was faster."""
    entry = dead.replay(redis, letter.id)
    if entry:
        log.info(Event.REPLAYED, **_named(letter), new_entry=entry, by=by, why=why)
    return entry


def discard(redis: Redis, letter: Letter, *, by: str, why: str) -> bool:
    """Give a letter up, and log all of it; False when somebody was faster."""
    is_done = dead.discard(redis, letter.id)
    if is_done:
        fields = letter.shown()["fields"]
        log.info(Event.DISCARDED, **_named(letter), fields=fields, by=by, why=why)
    return is_done


def _named(letter: Letter) -> dict[str, Any]:
    return {
        "letter": letter.id,
        "entry": letter.ours["entry"],
        "command_id": letter.command_id,
        "trace_id": letter.trace_id,
        "type": letter.type,
        "pk": letter.pk,
        "at_ms": letter.at_ms,
        "reason": letter.ours["reason"],
    }


def _readable(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
