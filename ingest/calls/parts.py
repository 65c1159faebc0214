"""Parts: parameters, links and answers that several calls share. Values only."""

from ingest.calls.operation import Answer, Link, Parameter
from ingest.commands import PK_PATTERN
from ingest.shapes import ECMA

EXAMS, COMMANDS, EVENTS, ABOUT = "Exams", "Commands", "Events", "About"
#: What each group of calls is for.
TAGS = {
    EXAMS: "Start an exam, report its result, see where it stands.",
    COMMANDS: "Other commands, many commands, and where one stands.",
    EVENTS: "What changes, while it does.",
    ABOUT: "The system itself: its health and its description.",
}

TEXT = {"type": "string"}
PK = Parameter(
    name="pk",
    place="path",
    text="The exam's name: 1 to 64 of `A-Z a-z 0-9 . _ -`, first a letter or digit.",
    schema={**TEXT, "pattern": ECMA[PK_PATTERN]},
    example="math-7",
)
KEY = Parameter(
    name="Idempotency-Key",
    place="header",
    text="The caller's own name for this command, kept for 24 hours: sent again with the same "
    "body, to any gateway, it makes no second command and gets the same answer.",
    schema={**TEXT, "pattern": r'^(?:"(?:[ !#-\[\]-~]|\\["\\]){1,200}"|[!#-\[\]-~]{1,200})$'},
    example="6f9c2b1e-start-math-7",
)
PREFER = Parameter(
    name="Prefer",
    place="header",
    text="`wait=5`: answer when the command has been applied, or after 5 seconds (30 at most) with "
    "202. What is unknown or malformed is ignored (RFC 7240).",
    schema=TEXT,
    example="wait=5",
)
APPLIED = ("Preference-Applied",)

#: What can be wrong with a body, and with a call that sends a command.
BODY = ("broken-body", "too-slow", "empty-body", "not-json", "too-large", "unsupported-media-type")
SENDING = (
    *BODY,
    "invalid-command",
    "bad-header",
    "idempotency-key-reused",
    "overloaded",
    "unavailable",
)
#: What is said to who waits for a refusal.
REFUSED = ("late", "already-decided", "already-started", "conflict")

TO_EXAM = Link(
    to="showExam", given={"pk": "$response.body#/pk"}, text="The exam, once it is on disk."
)
TO_RESULT = Link(
    to="reportResult", given={"pk": "$response.body#/pk"}, text="Report the exam's result."
)
TO_COMMAND = Link(
    to="showCommand", given={"id": "$response.body#/command_id"}, text="Where the command stands."
)


def taken(example: object, *links: Link, headers: tuple[str, ...] = ()) -> Answer:
    """Describe the 202 of every command."""
    return Answer(
        status=202,
        text="Redis has the command. It will be applied, whatever breaks meanwhile.",
        shape="Accepted",
        example=example,
        headers=headers,
        links=links,
    )
