"""
Envelope: what a message in a Celery queue must look like to be one of ours. Pure.

Celery believes what lies in its queues: a header of another type ends the worker, or has it take
its connection for lost again and again, and a message names what is to be called behind it. So each
one is made anew of the few things that ours have, and one that has others is none.

Source: https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from filestore.name import checked
from tasks.app import ECHO_TASK, EXAM_TASK, MAIL_TASK

#: Characters of a body; a bell of many exams has less than 10,000, the longest echo 90,000.
MOST_BODY = 1 << 18


class Foreign(ValueError):  # noqa: N818 - says what a message is
    """A message is none of ours; the message says why, without a value from it."""


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Text = Annotated[str, StringConstraints(max_length=200)]
Shown = Annotated[str, StringConstraints(max_length=4096)]
Moment = Annotated[Text, AfterValidator(_moment)]
Pk = Annotated[str, AfterValidator(checked)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class _Closed(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Headers(_Strict):
    """The headers that a worker goes on with."""

    task: Literal["tasks.exam", "tasks.mail", "tasks.slow.echo"]
    id: Text
    retries: int = Field(0, ge=0, le=1_000_000)
    eta: Moment | None = None
    expires: Moment | None = None
    traceparent: Text | None = None
    argsrepr: Shown = ""
    kwargsrepr: Shown = ""
    origin: Text | None = None


class _Properties(_Strict):
    body_encoding: Literal["base64"]


class _Message(_Strict):
    body: str = Field(max_length=MOST_BODY)
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    headers: _Headers
    properties: _Properties


class _Nothing(_Closed):
    pass


class _Follows(_Closed):
    """What is to be called behind a task: nothing."""

    callbacks: None = None
    errbacks: None = None
    chain: None = None
    chord: None = None


class _Slot(_Closed):
    slot_s: int | None = None


class _Echo(_Closed):
    entry: str
    command_id: str
    source: str | None
    text: str
    delay: float = Field(ge=0, allow_inf_nan=False)


#: Task to its body: arguments, named arguments, and what follows.
BODIES: Mapping[str, TypeAdapter[Any]] = {
    EXAM_TASK: TypeAdapter(tuple[tuple[list[Pk]], _Nothing, _Follows]),
    MAIL_TASK: TypeAdapter(tuple[tuple[()], _Slot, _Follows]),
    ECHO_TASK: TypeAdapter(tuple[tuple[()], _Echo, _Follows]),
}


def opened(message: object, *, tag: str, queue: str) -> dict[str, Any]:
    """
    Make a message anew of what is ours in it.

    Args:
        message: As it lay in the queue.
        tag: By which the worker is to know it; never the message's own, which may be another's.
        queue: To go back to when a worker dies with it.

    Raises:
        Foreign: It is none of ours.
    """
    try:
        read = _Message.model_validate(message)
    except ValidationError as error:
        raise Foreign(_why(error)) from None
    try:
        BODIES[read.headers.task].validate_json(b64decode(read.body, validate=True))
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["type"]
        raise Foreign(f"body: not a call of {read.headers.task}: {said}") from None
    except ValueError:
        raise Foreign("body: not in base64") from None
    own = read.headers.model_dump(exclude_none=True)
    return {
        "body": read.body,
        "content-type": read.content_type,
        "content-encoding": read.content_encoding,
        "headers": {**own, **_SAME, "root_id": read.headers.id},
        "properties": _properties(read.headers.id, tag=tag, queue=queue),
    }


def _properties(task_id: str, *, tag: str, queue: str) -> dict[str, Any]:
    return {
        "correlation_id": task_id,
        "delivery_tag": tag,
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        "body_encoding": "base64",
    }


def _why(error: ValidationError) -> str:
    """Name the first thing that is wrong; the places are of our own models."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'message'}: {first['type']}"


#: Headers that Celery asks for and that say nothing about a message of ours.
_SAME: Mapping[str, Any] = {
    "lang": "py",
    "parent_id": None,
    "group": None,
    "timelimit": [None, None],
    "ignore_result": True,
}
