"""Gateway lines: the part of the vocabulary that is about who calls, and how much of it."""

from collections.abc import Mapping

from ops.events import Event, Kind

AT_THE_GATEWAY: Mapping[Event, Kind] = {
    Event.ACCESS_DENIED: Kind.of(
        "gateway: a request came without a key that may do what it asks for; nothing was done",
        "status method path problem detail trace_id peer",
    ),
    # In place of a line for each request: a flood must not push other lines out of the log.
    Event.RATE_EXCEEDED: Kind.of(
        "gateway: a key or an address sends too many requests; from here on they are answered 429, "
        "without lines of their own",
        "setting limit peer",
    ),
    Event.RATE_KEPT: Kind.of(
        "gateway: for 10 s it sent no request too many, or the gateway ends; so many were refused",
        "setting limit peer refused",
    ),
    Event.KEY_CREATED: Kind.of(
        "`invigil keys`: a key was made; whoever made it has seen its secret, once",
        "key name scope expires_ms by",
    ),
    Event.KEY_REVOKED: Kind.of(
        "`invigil keys`: a key was taken back; no gateway lets it in any more",
        "key name by",
    ),
    # Each command of it that is on the stream is in an `accepted` or a `bulk_accepted`.
    Event.BULK_READ: Kind.of(
        "gateway: a body of many commands was read to its end, or for as long as it came",
        "taken refused detail trace_id",
        is_audit=False,
    ),
    Event.OVERLOADED: Kind.of(
        "gateway: more waits than may, for `reason`. It turns starts away, or results too: `what`",
        "what reason",
    ),
    Event.ROOM_AGAIN: Kind.of(
        "gateway: it takes commands again, after so many that were turned away", "turned_away"
    ),
    # Nothing was taken from them that has no line of its own.
    Event.CONNECTIONS_CUT: Kind.of(
        "gateway: connections were closed whose clients stalled; at most one line in 10 s",
        "heads answers",
        is_audit=False,
    ),
    Event.CONNECTIONS_FULL: Kind.of(
        "gateway: more connections came than may be; those are turned away", "most"
    ),
    Event.CONNECTIONS_FREE: Kind.of("gateway: it takes connections again", "turned_away"),
    Event.CERTIFICATE_LOADED: Kind.of(
        "gateway: the certificate for TLS was read and checked",
        "path expires_ms",
    ),
    Event.CERTIFICATE_EXPIRES: Kind.of(
        "gateway: the certificate for TLS expires soon, or has expired. Said once a day",
        "path expires_ms",
    ),
}
