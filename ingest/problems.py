"""Problems: every way in which the gateway says no, as RFC 9457 words it. Values only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType

from ingest.faults import Fault

#: Media type of a problem.
CONTENT_TYPE = "application/problem+json"
#: Seconds after which a client may come again while Redis or the disk is away.
RETRY_AFTER_S = 2


class Name(StrEnum):
    """The closed list of problems, by the last part of their type."""

    BAD_HEADER = "bad-header"
    BROKEN_BODY = "broken-body"
    EMPTY_BODY = "empty-body"
    NOT_JSON = "not-json"
    NOT_HTTP = "not-http"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NO_SUCH_PAGE = "no-such-page"
    UNKNOWN_EXAM = "unknown-exam"
    UNKNOWN_COMMAND = "unknown-command"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    TOO_SLOW = "too-slow"
    ALREADY_DECIDED = "already-decided"
    ALREADY_STARTED = "already-started"
    CONFLICT = "conflict"
    LATE = "late"
    TOO_LARGE = "too-large"
    NOT_JSON_TYPE = "unsupported-media-type"
    INVALID_COMMAND = "invalid-command"
    KEY_REUSED = "idempotency-key-reused"
    INVALID_QUERY = "invalid-query"
    HEAD_TOO_LARGE = "head-too-large"
    TOO_MANY = "too-many-requests"
    INTERNAL = "internal"
    DAMAGED_EXAM = "damaged-exam"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"


#: Status and title of each.
TABLE: Mapping[Name, tuple[int, str]] = MappingProxyType(
    {
        Name.BAD_HEADER: (400, "A header is not what it should be"),
        Name.BROKEN_BODY: (400, "The body did not arrive as it was announced"),
        Name.EMPTY_BODY: (400, "The body is empty"),
        Name.NOT_JSON: (400, "The body is not JSON"),
        Name.NOT_HTTP: (400, "The request cannot be read"),
        Name.UNAUTHORIZED: (401, "A key is needed"),
        Name.FORBIDDEN: (403, "The key may not do this"),
        Name.NO_SUCH_PAGE: (404, "There is nothing at this path"),
        Name.UNKNOWN_EXAM: (404, "There is no such exam"),
        Name.UNKNOWN_COMMAND: (404, "There is no such command"),
        Name.METHOD_NOT_ALLOWED: (405, "The path does not know this method"),
        Name.TOO_SLOW: (408, "The body did not come in time"),
        Name.ALREADY_DECIDED: (409, "The exam has been decided"),
        Name.ALREADY_STARTED: (409, "The exam has been started"),
        Name.CONFLICT: (409, "The command's id stands for another one"),
        Name.LATE: (409, "The deadline has passed"),
        Name.TOO_LARGE: (413, "The body is too large"),
        Name.NOT_JSON_TYPE: (415, "The body is not declared as JSON"),
        Name.INVALID_COMMAND: (422, "The command is not valid"),
        Name.KEY_REUSED: (422, "The key stands for another command"),
        Name.INVALID_QUERY: (422, "The query is not valid"),
        Name.HEAD_TOO_LARGE: (431, "The head of the request is too large"),
        Name.TOO_MANY: (429, "Too many requests"),
        Name.INTERNAL: (500, "Something went wrong here"),
        Name.DAMAGED_EXAM: (500, "The exam's file is damaged"),
        Name.OVERLOADED: (503, "There is too much to do"),
        Name.UNAVAILABLE: (503, "What is needed for this is away"),
    }
)
#: Which problem a status of the web framework's own is.
_BY_STATUS = {
    404: Name.NO_SUCH_PAGE,
    405: Name.METHOD_NOT_ALLOWED,
    413: Name.TOO_LARGE,
    500: Name.INTERNAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a client is told when it does not get what it asked for."""

    type: str
    title: str
    status: int
    detail: str
    more: Mapping[str, object] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """Make the object that goes over the wire."""
        head = {"type": self.type, "title": self.title, "status": self.status}
        return {**head, "detail": self.detail, **self.more}


class Refusal(Exception):  # noqa: N818 - says what the client gets
    """
    A request ends with a problem; carries it to where answers are made.

    Attributes:
        retry_after_s: When to come again, where a client is told.
    """

    def __init__(self, problem: Problem, *, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after_s = retry_after_s


def problem(name: Name, detail: str, **more: object) -> Problem:
    """Look a problem up; *more* are its members beside the four that each has."""
    status, title = TABLE[name]
    kind = f"urn:invigil:problem:{name}"
    return Problem(type=kind, title=title, status=status, detail=detail, more=more)


def of_faults(name: Name, faults: Iterable[Fault]) -> Problem:
    """Make a problem that lists what is wrong, field by field."""
    errors = [{"field": fault.field, "message": fault.message} for fault in faults]
    detail = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
    return problem(name, detail, errors=errors)


def of_status(status: int, detail: str) -> Problem:
    """Make the problem for a status that the framework chose."""
    if name := _BY_STATUS.get(status):
        return problem(name, detail)
    return Problem(
        type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail
    )
