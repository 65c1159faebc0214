"""Events: the call that tells what changes. Values only."""

from ingest.access import Scope
from ingest.calls.operation import Answer, Operation, Parameter
from ingest.calls.parts import EVENTS, PK, TEXT
from ingest.calls.samples import LIVE

_SEEN = "Id of the last event that was seen: go on after it, without gap or repeat."
_ID = {**TEXT, "pattern": "^[0-9]+(-[0-9]+)?$"}

CALLS = (
    Operation(
        id="listenToEvents",
        method="GET",
        path="/events",
        tag=EVENTS,
        summary="Listen to what changes",
        text="Server-sent events: `id`, `event` (the type) and `data`, one JSON object; a comment "
        "every 15 seconds keeps the connection. Without an id to go on from: from now on. A reader "
        "that falls too far behind gets `event: dropped`, with the id to resume from. When events "
        "after the id asked for have been trimmed, `event: gap` comes first and says where it goes "
        "on.",
        parameters=(
            Parameter(
                name="pk",
                place="query",
                text="Only events of this exam; repeat it for several.",
                schema={"type": "array", "items": PK.schema},
            ),
            Parameter(
                name="type",
                place="query",
                text="Only events of this type, such as `exam.absent`; repeat it for several.",
                schema={"type": "array", "items": TEXT},
            ),
            Parameter(
                name="last_event_id",
                place="query",
                text=f"{_SEEN} The header, where a header cannot be set.",
                schema=_ID,
            ),
            Parameter(name="Last-Event-ID", place="header", text=_SEEN, schema=_ID),
        ),
        scope=Scope.READ,
        answers=(
            Answer(
                status=200,
                text="Events, until either side ends it.",
                media="text/event-stream",
                example=LIVE,
            ),
        ),
        problems=("invalid-query", "unavailable"),
    ),
)
