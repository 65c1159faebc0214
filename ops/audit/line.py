"""Line: a log line, read back, as far as an audit looks at it."""

import json
from datetime import datetime
from typing import Any

import msgspec


class Line(msgspec.Struct, gc=False, omit_defaults=True):
    """A line of ours; keys that an audit does not need are skipped while it is parsed."""

    event: str
    ts: str = ""
    part: str = ""
    pid: int | None = None
    logger: str | None = None
    chain: str = ""
    seq: int = 0
    prev: str = ""
    pk: str | None = None
    entry: str | None = None
    command_id: str | None = None
    task_id: str | None = None
    type: str | None = None
    at_ms: int | None = None
    value: int | float | str | None = None
    reason: str | None = None
    deadline_ms: int | None = None
    slot_s: int | None = None
    redelivered: bool = False
    source: str | None = None
    file: str | None = None
    after: str | None = None
    what: str | None = None
    ended: Any = None
    chains: Any = None


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
    ms = entry.partition("-")[0]
    return int(ms) if ms.isascii() and ms.isdecimal() else 0
