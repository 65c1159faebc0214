"""Guide: what each problem means and what to do about it, in words for people. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ingest.problems import Name, problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """
    A problem in words.

    Attributes:
        when: What has happened.
        remedy: What to do.
        detail: What its ``detail`` may say, as an example.
        more: Members of the example beside the four that each has.
    """

    when: str
    remedy: str
    detail: str
    more: Mapping[str, object] = field(default_factory=dict)


def _of_field(name: str, message: str, *, when: str, remedy: str) -> Explained:
    """Explain a problem that lists what is wrong, field by field."""
    errors = [{"field": name, "message": message}]
    return Explained(when=when, remedy=remedy, detail=f"{name}: {message}", more={"errors": errors})


_EXAM = {"pk": "math-7", "status": "absent"}

GUIDE: Mapping[str, Explained] = {
    "bad-header": _of_field(
        "Idempotency-Key",
        "must be 1 to 200 visible ASCII characters, once",
        when="A header that decides what is done is there and cannot be understood. "
        "Nothing was taken.",
        remedy="Correct the header that `errors` names. The request alone is no duplicate.",
    ),
    "broken-body": Explained(
        when="The connection ended before the body did, or the body is not compressed as "
        "`Content-Encoding` says. Nothing was taken.",
        remedy="Send it again, whole.",
        detail="the body ended early, or is not compressed as it says",
    ),
    "empty-body": _of_field(
        "body",
        "is empty; send a JSON object, at least {}",
        when="There is no body where one is needed.",
        remedy="Send a JSON object. `{}` starts an exam whose name the gateway makes.",
    ),
    "not-json": _of_field(
        "body",
        "is not JSON: Expecting value at character 0",
        when="The body is not one JSON value in UTF-8. `NaN`, `Infinity`, the same key twice and "
        "a nesting too deep for anyone's parser are not JSON here either.",
        remedy="Correct the body; `errors` says where it stops being JSON.",
    ),
    "not-http": Explained(
        when="What came is no request of HTTP/1.1: a client that speaks something else, or headers "
        "that are malformed. The connection is closed.",
        remedy="Use an HTTP library. Where the gateway has a certificate, the URL begins with "
        "https://.",
        detail="what came is no request as RFC 9112 has it; the connection is closed",
    ),
    "unauthorized": Explained(
        when="The request has no key, or one that is unknown, expired or revoked. As soon as a key "
        "has been made, every call but `/livez` and `/readyz` needs one.",
        remedy="Send `Authorization: Bearer KEY`. An operator makes keys: `invigil keys create`.",
        detail="a key is needed: send the header Authorization: Bearer KEY",
    ),
    "forbidden": Explained(
        when="The key is known, and may not do what the call does: `read` asks, `write` also "
        "sends commands.",
        remedy="Use a key with the scope that `detail` names.",
        detail="the key 6f9c2b1e may read; this call needs write",
    ),
    "no-such-page": Explained(
        when="No call has this path.",
        remedy="Look at `/docs` or `/openapi.json` for the paths there are.",
        detail="GET /exam: Not Found",
    ),
    "unknown-exam": _of_field(
        "pk",
        "exam math-7 is not on disk: its start was never sent, or is still on its way",
        when="There is no exam of this name on disk; for a result, none was started and none is "
        "about to be.",
        remedy="Start the exam first. Right after a start, ask again in a moment: the 202 says "
        "that the command is safe, not that it has been applied.",
    ),
    "unknown-command": _of_field(
        "id",
        "01a2102b-b64d-7496-a045-7c6e49ee6555 is not known: never sent, or no longer kept",
        when="No command has this id, or it has left both the stream and the exams' histories.",
        remedy="Use the `command_id` or the `entry` of a 202.",
    ),
    "method-not-allowed": Explained(
        when="The path exists, with other methods.",
        remedy="Use one that the header `Allow` names.",
        detail="PUT /exams: Method Not Allowed",
    ),
    "too-slow": Explained(
        when="The body was not there within six seconds of its head; of many commands, the next "
        "line within six of the one before. Nothing of what was missing was taken, and the "
        "connection is closed.",
        remedy="Send it again, faster: connections that stall would keep others out.",
        detail="the body was not whole after 6 s; nothing was taken",
    ),
    "already-decided": Explained(
        when="Only to who prefers to wait: another result came in earlier, and counts. This one "
        "is kept in the exam's history, refused.",
        remedy="Nothing to send again: `exam` is the exam as it stands.",
        detail="exam math-7, exam.finish of 2026-11-25T08:00:05.000Z: already decided",
        more={"exam": {**_EXAM, "status": "pass"}},
    ),
    "already-started": Explained(
        when="Only to who prefers to wait: an exam of this name was started before. A second start "
        "never moves its deadline.",
        remedy="Use another `pk`, or leave it out. `exam` is the exam as it stands.",
        detail="exam math-7, exam.start of 2026-11-25T08:00:05.000Z: already started",
        more={"exam": {**_EXAM, "status": "started"}},
    ),
    "conflict": Explained(
        when="Only to who prefers to wait: a command of the same id, with other content, came "
        "before, and counts.",
        remedy="Give each command an id of its own.",
        detail="exam math-7, exam.finish of 2026-11-25T08:00:05.000Z: same id, other content",
        more={"exam": {**_EXAM, "status": "pass"}},
    ),
    "late": Explained(
        when="Only to who prefers to wait: the result came in after the deadline, by Redis' clock. "
        "It is kept in the exam's history, refused.",
        remedy="Nothing to send again: `exam` has the deadline.",
        detail="exam math-7, exam.finish of 2026-11-25T08:02:00.001Z: late",
        more={"exam": _EXAM},
    ),
    "too-large": Explained(
        when="The body, or one line of many, has more bytes than a command may have: 65,536.",
        remedy="Send less in one command.",
        detail="the body has more than 65536 bytes",
    ),
    "unsupported-media-type": _of_field(
        "content-type",
        "must be application/json in UTF-8, not 'text/plain'",
        when="The header `Content-Type` does not say what the call takes.",
        remedy="Declare the body as it is. An API for machines does not guess.",
    ),
    "invalid-command": _of_field(
        "duration",
        "input should be greater than or equal to 1, not 0",
        when="The JSON is well-formed and is no command: a field is missing, unknown, of another "
        'type or out of range. Types are exact: `"5"` is no number.',
        remedy="Correct what `errors` names, field by field.",
    ),
    "invalid-query": _of_field(
        "limit",
        "must be a whole number from 1 to 500, not 0",
        when="A parameter of the query is unknown, repeated or malformed; or a cursor is of "
        "another list, or made up.",
        remedy="Correct what `errors` names. Take cursors as they come, for the same filters.",
    ),
    "idempotency-key-reused": Explained(
        when="The `Idempotency-Key` came before, with a command that asked for something else. "
        "Nothing was taken this time.",
        remedy="Make a new key for each new command; repeat one only to repeat its command.",
        detail="Idempotency-Key stands for a command that asked for something else; use another",
    ),
    "head-too-large": Explained(
        when="The path or a header is longer, or there are more headers, than any call needs. The "
        "connection is closed.",
        remedy="Leave out what the gateway does not ask for, cookies above all.",
        detail="the path has more than 8190 bytes, a header more than 8190, or there are more "
        "than 64 headers",
    ),
    "too-many-requests": Explained(
        when="Too many requests came with this key, or from this address; or too many from this "
        "address were denied. Nothing was taken.",
        remedy="Send it again, after the seconds of `Retry-After`, and from then on fewer. An "
        "operator sets `INVIGIL_KEY_RATE`, `ADDRESS_RATE` and `DENIED_RATE`.",
        detail="more than 1000/second came with the key 6f9c2b1e; nothing was taken, send it again",
    ),
    "internal": Explained(
        when="A bug of ours. The log has the whole of it, under the answer's trace.",
        remedy="Report it with the header `traceparent` of the answer. What came of the command "
        "is not known.",
        detail="POST /exams failed; the log says why",
    ),
    "damaged-exam": Explained(
        when="The exam's file is not what was written. It was noted, and is being made anew from "
        "the stream where that can be done.",
        remedy="Ask again in a moment; if it stays, an operator has to look at it.",
        detail="the file of exam math-7 is damaged; what still can be done about it is under way",
    ),
    "overloaded": Explained(
        when="So much waits to be applied, or Redis or the disk is so full, that nothing new is "
        "taken; or as many connections are open as may be. What was taken before is kept. Results "
        "are taken longer than starts: their exams run.",
        remedy="Send it again, after the seconds of `Retry-After`. An operator finds what to do in "
        "the settings `INVIGIL_MAX_WAITING`, `MAX_WAIT`, `MAX_MEMORY` and `MIN_DISK`.",
        detail="100,412 commands wait to be applied; nothing was taken, send it again",
    ),
    "unavailable": Explained(
        when="Redis or the disk does not answer, is full or read-only. `detail` says whether "
        "something may have been taken.",
        remedy="Send it again, after the seconds of `Retry-After`. The exam ends the same if it "
        "was taken twice.",
        detail="whether the command was taken is not known; send it again",
    ),
}


def example(name: Name) -> dict[str, object]:
    """Make a problem's document, as a client might get it."""
    explained = GUIDE[name]
    return problem(name, explained.detail, **explained.more).document()
