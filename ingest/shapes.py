"""Shapes: what the gateway and the streams give to others, as models to describe it by. Pure."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema
from pydantic.json_schema import models_json_schema

from filestore.exam import Reason, Verdict
from filestore.fact import Status
from filestore.name import PATTERN
from ingest.commands import LABEL_PATTERN, PK_PATTERN, TYPES, Label, Pk

#: The patterns of the commands, as ECMA-262 writes them: that is what JSON Schema asks for.
ECMA: Mapping[str, str] = {
    PK_PATTERN: f"^{PATTERN}$",
    LABEL_PATTERN: r"^[^\u0000-\u001f\u007f-\u009f]*$",
}
ENTRY_PATTERN = "^[0-9]+-[0-9]+$"

Moment = Annotated[
    str, WithJsonSchema({"type": "string", "format": "date-time", "description": "UTC"})
]
Entry = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "pattern": ENTRY_PATTERN, "description": "Id of the stream's entry."}
    ),
]
#: Where a command stands; `Verdict` once the rules have judged it.
State = Literal["accepted", "applied", "refused", "duplicate", "corrected", "dead"]


class FieldFault(BaseModel):
    """One thing that is wrong, and where."""

    field: str
    message: str


class Problem(BaseModel):
    """What a client is told when it does not get what it asked for (RFC 9457)."""

    type: Annotated[str, Field(json_schema_extra={"format": "uri"})]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    errors: Annotated[list[FieldFault] | None, Field(description="Where a field is wrong.")] = None


class Accepted(BaseModel):
    """A command that Redis has."""

    command_id: str
    entry: Entry
    pk: Pk | None = None
    location: Annotated[str | None, Field(json_schema_extra={"format": "uri-reference"})] = None


class Record(BaseModel):
    """A command in an exam's history, with what applying it did."""

    at: Moment
    command: str
    entry: Entry
    type: Literal["exam.start", "exam.finish", "exam.expire"]
    verdict: Verdict
    reason: Reason | None = None
    source: Label | None = None
    duration: Annotated[int | None, Field(description="Of a start: seconds.")] = None
    status: Annotated[Literal["pass", "fail"] | None, Field(description="Of a finish.")] = None
    deadline: Annotated[Moment | None, Field(description="Of an expire.")] = None
    task: Annotated[str | None, Field(description="Id of the task that applied it.")] = None


class Exam(BaseModel):
    """An exam as it lies on disk; its history is in the order of application."""

    pk: Pk
    status: Status
    started_at: Moment
    deadline: Moment
    decided_at: Moment | None
    history: list[Record]


class Listed(BaseModel):
    """An exam in a list."""

    pk: Pk
    status: Status
    started_at: Moment
    deadline: Moment
    decided_at: Moment | None


class ExamList(BaseModel):
    """A page of exams, newest first."""

    exams: list[Listed]
    next: Annotated[str | None, Field(description="Cursor of the next page; null on the last.")]


class Counts(BaseModel):
    """How many exams there are."""

    started: Annotated[int, Field(ge=0)]
    passed: Annotated[int, Field(ge=0, alias="pass")]
    fail: Annotated[int, Field(ge=0)]
    absent: Annotated[int, Field(ge=0)]
    total: Annotated[int, Field(ge=0)]


class Standing(BaseModel):
    """Where a command stands, and which task handled it."""

    command_id: str
    state: State
    pk: Pk | None = None
    verdict: Verdict | None = None
    reason: Reason | None = None
    task_id: str | None = None
    entry: Entry | None = None


class Alive(BaseModel):
    """This process answers."""

    status: Literal["alive"]


class Ready(BaseModel):
    """Commands can be taken."""

    status: Literal["ready"]
    redis: Literal["ready"]
    dispatcher: Annotated[
        Literal["active", "none"],
        Field(description="`none`: commands are taken, and wait for one."),
    ]


class ExamEvent(BaseModel):
    """What changed."""

    pk: Pk
    status: Annotated[Status, Field(description="Where the exam stands.")]
    at: Annotated[Moment, Field(description="When the command came in, UTC.")]
    deadline: Moment
    verdict: Verdict
    command: Annotated[str, Field(description="Id of the command that did it.")]
    entry: Entry
    reason: Annotated[Reason | None, Field(description="Why a command was refused.")] = None


class DeadLetter(BaseModel):
    """An entry set aside for people; `field:<name>` for each field that it had."""

    entry: Entry
    at: Annotated[str, Field(description="When it came in: milliseconds.", pattern="^[0-9]+$")]
    reason: str
    deliveries: Annotated[str, Field(description="How often it was tried.", pattern="^[0-9]+$")]
    error: Annotated[str | None, Field(description="Digest of what it raised.")] = None


_OUT = (
    *(Problem, Accepted, Exam, ExamList, Counts, Standing, Alive, Ready),
    *(ExamEvent, DeadLetter),
)


def schemas(prefix: str) -> dict[str, Any]:
    """
    Make the JSON Schema (2020-12) of every model, by name.

    Args:
        prefix: What a reference to a name begins with, such as ``#/components/schemas/``.
    """
    template = prefix + "{model}"
    _, given = models_json_schema(
        [(m, "validation") for m in TYPES.values()], ref_template=template
    )
    _, made = models_json_schema([(m, "validation") for m in _OUT], ref_template=template)
    found = {
        **{name: _tidy(one) for name, one in made["$defs"].items()},
        **{name: _tidy(one, is_sent=True) for name, one in given["$defs"].items()},
    }
    return found | {"StartExam": _start(found["ExamStart"]), "Result": _result(found["ExamFinish"])}


def _start(command: Mapping[str, Any]) -> dict[str, Any]:
    """Over HTTP the gateway names an exam that comes without a name."""
    return {**{name: one for name, one in command.items() if name != "required"}}


def _result(command: Mapping[str, Any]) -> dict[str, Any]:
    """Over HTTP the path names the exam, and the body must not."""
    properties = {name: one for name, one in command["properties"].items() if name != "pk"}
    return {**command, "properties": properties, "required": ["status"]}


def _tidy(schema: Any, *, is_sent: bool = False) -> Any:
    """Leave out the titles that pydantic makes of names; what may be missing is never null."""
    if isinstance(schema, list):
        return [_tidy(one, is_sent=is_sent) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if not is_sent and "default" in schema:
        schema = _never_null(schema)
    tidy = {
        name: _tidy(one, is_sent=is_sent)
        for name, one in schema.items()
        if not (name == "title" and isinstance(one, str))
        and not (name == "default" and one is None)
    }
    pattern = tidy.get("pattern")
    return tidy | ({"pattern": ECMA.get(pattern, pattern)} if isinstance(pattern, str) else {})


def _never_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    left = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    rest = {name: one for name, one in schema.items() if name not in {"anyOf", "default"}}
    return {**left[0], **rest} if len(left) == 1 else {**schema}
