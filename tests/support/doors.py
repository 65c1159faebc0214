"""Doors: every place of HTTP and of the stream that takes a value, read from the product itself."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from ingest.calls.operation import Operation
from ingest.calls.table import OPERATIONS
from ingest.commands import TYPES, Echo, Envelope, ExamFinish, ExamStart
from ops import trace
from support import raw_http

#: Headers that are looked at, though no description of one call has them.
COMMON = ("Authorization", "traceparent", "Content-Type", "Content-Encoding", "Host", "X-Unknown")
#: Every header that an answer may have.
ANSWERED = {
    *("content-type", "content-length", "date", "server", "traceparent", "location", "allow"),
    *("preference-applied", "link", "retry-after", "www-authenticate", "connection"),
    *("cache-control", "transfer-encoding", "x-accel-buffering", "content-security-policy"),
    *("x-content-type-options", "x-frame-options", "referrer-policy", "vary"),
    *("cross-origin-resource-policy", "permissions-policy", "strict-transport-security"),
}
#: Call -> what its body is made of.
BODIES: dict[str, type[BaseModel] | None] = {
    "startExam": ExamStart,
    "reportResult": ExamFinish,
    "echo": Echo,
    "sendCommands": None,  # lines, as they stand on the stream
}
#: Fields of an entry, and those of the data of each type of command.
FIELDS = (*Envelope.model_fields, trace.NAME, "unknown")
OF_DATA = [f"{kind}:{name}" for kind, model in TYPES.items() for name in (*model.model_fields, "x")]
ON_STREAM = (*FIELDS, *OF_DATA)
GOOD: dict[str, Any] = {"status": "pass", "text": "t", "delay": 0, "deadline": 1, "duration": 60}
Entry = dict[bytes, bytes]


def raw(text: str) -> bytes:
    """The bytes of a text, whatever is in it."""
    return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call takes a value: in its path, its query, its headers, or its body."""

    operation: Operation
    kind: str
    name: str

    @property
    def is_own(self) -> bool:
        """Whether other calls have not the same place, answered by the same code."""
        return self.name not in ("", "unknown", *COMMON) or self.kind == "body"

    @property
    def is_in_target(self) -> bool:
        """Whether it is in the first line, where some characters are written as others."""
        return self.kind not in ("header", "body", "whole body")

    def request(self, text: str, *, is_raw: bool) -> bytes:
        """Write the call with a value in this place, and nothing wrong with the others."""
        value = raw(text)
        shown = value.replace(b" ", b"+") if is_raw else quote(value, safe="").encode()
        headers = [(self.name.encode(), value)] if self.kind == "header" else []
        body = self._body(text) if self.operation.body else b""
        if self.operation.body and self.name != "Content-Type":
            headers.append((b"Content-Type", self.operation.body.media.encode()))
        return raw_http.written(self.operation.method, self._target(shown), headers, body)

    def _target(self, shown: bytes) -> bytes:
        if self.kind == "whole path":
            return b"/" + shown
        path = self.operation.path.encode()
        for one in self.operation.parameters:
            if one.place == "path":
                mine = shown if (self.kind, self.name) == ("path", one.name) else b"nobody"
                path = path.replace(b"{%b}" % one.name.encode(), mine)
        asked = {"query": b"?" + self.name.encode() + b"=" + shown, "whole query": b"?" + shown}
        return path + asked.get(self.kind, b"")

    def _body(self, text: str) -> bytes:
        if self.kind == "whole body":
            return raw(text) or b" "
        changed = {self.name: text} if self.kind == "body" else {}
        model = BODIES[self.operation.id]
        if model:
            values = {one: GOOD.get(one, "x") for one in model.model_fields if one != "pk"}
            return json.dumps(values | changed).encode()
        fields = entry(*next(iter(changed.items()), ("unknown", "x")))
        line = {name.decode(): _as_json(value) for name, value in fields.items()}
        return json.dumps(line).encode() + b"\n"


def _as_json(value: bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value.decode("utf-8", "replace")


def entry(name: str, text: str) -> Entry:
    """Write a stream entry with a hostile value in one field, or in one of its data's."""
    kind, _, of_data = name.partition(":") if ":" in name else ("exam.start", "", "")
    values = {one: GOOD.get(one, "hostile-1") for one in TYPES[kind].model_fields}
    data = json.dumps(values | ({of_data: text} if of_data else {}))
    fields = {b"type": kind.encode(), b"data": data.encode()}
    return fields if of_data else {**fields, name.encode(): raw(text)}


def _places(operation: Operation) -> Iterator[tuple[str, str]]:
    """Kind and name of each place of a call."""
    yield from ((one.place, one.name) for one in operation.parameters)
    yield from (("header", name) for name in COMMON)
    yield from (("query", "unknown"), ("whole query", ""), ("whole path", ""))
    if operation.body:
        model = BODIES[operation.id]
        yield from (("body", one) for one in ((*model.model_fields, "x") if model else ON_STREAM))
        yield "whole body", ""


PLACES = [Place(one, kind, name) for one in OPERATIONS for kind, name in _places(one)]
