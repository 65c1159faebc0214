"""Line: a log line, read back, as far as an audit looks at it."""

import json
from datetime import datetime
from typing import Annotated, Any

import msgspec

from ops.events import Event
from ops.many import LISTS, MANY, each_of

#: What our numbers are at most, moments in milliseconds among them. A line with a greater one is
#: none of ours, and nothing that is worked out of it is more than a machine can hold.
Number = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
#: Digits of each half of an entry's id, at most.
MOST_DIGITS = 20


class Line(msgspec.Struct, gc=False, omit_defaults=True):
    """A line of ours; keys that an audit does not need are skipped while it is parsed."""

    event: str
    ts: str = ""
    part: str = ""
    pid: Number | None = None
    logger: str | None = None
    chain: str = ""
    seq: Number = 0
    prev: str = ""
    pk: str | None = None
    entry: str | None = None
    command_id: str | None = None
    task_id: str | None = None
    type: str | None = None
    at_ms: Number | None = None
    value: Number | str | None = None
    reason: str | None = None
    deadline_ms: Number | None = None
    slot_s: Number | None = None
    redelivered: bool = False
    source: str | None = None
    file: str | None = None
    after: str | None = None
    what: str | None = None
    ended: Any = None
    chains: Any = None
    pks: Any = None
    command_ids: Any = None
    entries: Any = None
    arrivals_ms: Any = None
    values: Any = None
    deadlines_ms: Any = None


#: Reads a line; raises `REFUSED` for what `parse_slowly` may still read.
parse = msgspec.json.Decoder(Line).decode
REFUSED = (msgspec.MsgspecError, UnicodeDecodeError)


def parse_slowly(raw: bytes) -> Line | None:
    """
    Read a line that `parse` refused; None when it is none of ours: no object, or without an event.

    The fast parser refuses half a surrogate, which JSON allows and a hostile text can hold.
    """
    try:
        return msgspec.convert(json.loads(raw), Line)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None


def each(line: Line) -> list[Line]:
    """Take a line about many commands as a line about each; none where it is none of ours."""
    lists = {key: getattr(line, key, None) for key in LISTS}
    common = {
        "event": MANY[Event(line.event)],
        "ts": line.ts,
        "type": line.type,
        "task_id": line.task_id,
        "redelivered": line.redelivered,
    }
    try:
        return [msgspec.convert({**common, **one}, Line) for one in each_of(lists)]
    except (ValueError, msgspec.MsgspecError):
        return []


def moment_ms(ts: str) -> int | None:
    """
    Read a line's time in milliseconds since 1970; None when it is none.

    Ours are all in UTC; logs that something else has rewritten may be in any zone.
    """
    try:
        moment = datetime.fromisoformat(ts)
    except ValueError:
        return None
    return None if moment.tzinfo is None else round(moment.timestamp() * 1000)


def entry_ms(entry: str) -> int:
    """Read when an entry came in from its id; 0 when it is none."""
    return entry_id(entry)[0]


def entry_id(entry: str) -> tuple[int, int]:
    """Read both halves of an entry's id; 0 for a half that is none."""
    ms, _, seq = entry.partition("-")
    return _half(ms), _half(seq)


def _half(digits: str) -> int:
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS
    return int(digits) if is_number else 0
