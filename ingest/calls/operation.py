"""Operation: the words in which a call of the gateway is described. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ingest.access import Scope

JSON = "application/json"
NDJSON = "application/x-ndjson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """
    What a caller gives beside the body.

    Attributes:
        schema: JSON Schema of its value; of an array, one parameter per item.
    """

    name: str
    place: Literal["path", "query", "header"]
    text: str
    schema: Mapping[str, object]
    example: object | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """
    The next call that an answer leads to.

    Attributes:
        to: Id of its operation.
        given: Name of a parameter to the expression that finds its value in this answer.
        is_certain: Whether every answer has that value; else the document marks it `x-optional`.
    """

    to: str
    given: Mapping[str, str]
    text: str
    is_certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    One way in which a call succeeds.

    Attributes:
        shape: Name of its schema; a string where it is empty.
        headers: Names of what it has in `openapi.HEADERS`, besides the trace.
    """

    status: int
    text: str
    example: object
    shape: str = ""
    media: str = JSON
    headers: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """
    What a call carries; *shape* as with `Answer`.

    Attributes:
        pattern: What a string must match, where it is one.
    """

    text: str
    examples: Mapping[str, object]
    shape: str = ""
    pattern: str = ""
    media: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """
    One call.

    Attributes:
        scope: What a key must be allowed for this call; None: it is open to everyone.
        problems: Last parts of the types of what it may answer instead, but for `internal`, which
            any call may.
    """

    id: str
    method: Literal["GET", "POST"]
    path: str
    tag: str
    summary: str
    text: str
    scope: Scope | None
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    problems: tuple[str, ...] = ()

    @property
    def route(self) -> tuple[str, str]:
        """How the application names it."""
        return self.method, self.path
