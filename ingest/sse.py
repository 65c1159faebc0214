"""SSE: server-sent events, as bytes. Values only. Source: https://html.spec.whatwg.org/#sse"""

import json
from collections.abc import Mapping

from ingest.feed import GAP, Happening
from ingest.positions import Position

#: Media type of a stream of them.
CONTENT_TYPE = "text/event-stream"
#: Milliseconds after which a client that lost its connection comes again.
RETRY_MS = 2_000
#: Type of the last event for a reader that did not keep up.
DROPPED = "dropped"
#: What a reader is sent while its past cannot be read.
AWAY = b": Redis is away; what happened will follow\n\n"


def opening(at: Position | None) -> bytes:
    """Begin a stream; a client that loses it before the first event comes again with this id."""
    return f"retry: {RETRY_MS}\n{_id(at)}\n".encode()


def heartbeat(at: Position | None) -> bytes:
    """
    Keep a connection open, and let a client know how far it is.

    An id without data is no event, and moves the client's last id: one that asks for little does
    not come again with an id that is long gone.
    """
    return f": heartbeat\n{_id(at)}\n".encode()


def frame(event: Happening) -> bytes:
    """Write an event, with the id behind which a client that has seen it goes on."""
    is_new = event.type != GAP or event.id != event.data.get("asked")
    return _frame(event.type, event.data, event.id if is_new else None)


def dropped(resume: Position, *, most: int) -> bytes:
    """Write the last event for a reader that did not keep up."""
    reason = f"more than {most} events waited for this reader; come again with Last-Event-ID"
    return _frame(DROPPED, {"reason": reason, "resume": str(resume)}, str(resume))


def _frame(name: str, data: Mapping[str, object], at: str | None) -> bytes:
    head = f"id: {at}\n" if at else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _id(at: Position | None) -> str:
    return f"id: {at}\n" if at is not None else ""
