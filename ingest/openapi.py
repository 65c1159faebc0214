"""Openapi: the description of the HTTP interface, from models, calls and problems. Pure."""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ingest.calls.operation import Answer, Body, Operation, Parameter
from ingest.calls.parts import TAGS
from ingest.guide import GUIDE, example
from ingest.problems import CONTENT_TYPE, TABLE, Name
from ingest.shapes import schemas

VERSION = "3.1.0"
SCHEMAS = "#/components/schemas/"
RESPONSES = "#/components/responses/"

ABOUT = (
    "Timed exams that end the right way, whatever breaks. A 202 says that Redis has the command "
    "and that it will be applied; `GET /exams/{pk}` shows what came of it. Errors are problems as "
    "RFC 9457 has them; each has a stable `type`. Every answer has a `traceparent`: a request's "
    "own, gone on with, or a new one."
)
#: How a key is shown.
KEY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key as `invigil keys create` makes it. A gateway that only its own machine "
    "can reach needs none until the first one has been made. `x-scope` says what a call needs: "
    "`read`, `write` or `admin`, each of which includes those before it.",
}
#: Headers of answers, with an example of each.
HEADERS: Mapping[str, tuple[str, str]] = {
    "traceparent": (
        "Trace of the request, as the W3C has it.",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    "Location": ("Where the exam is, or will be.", "/exams/math-7"),
    "Link": ('The next page, `rel="next"`.', '</exams?cursor=eyJhZnRlciI6>; rel="next"'),
    "Preference-Applied": ("What was preferred and done.", "wait=5"),
    "Retry-After": ("Seconds after which to come again.", "2"),
    "WWW-Authenticate": ("How to show a key.", 'Bearer realm="invigil"'),
    "Allow": ("The methods of this path.", "GET,HEAD,POST"),
    "Content-Security-Policy": ("The page may load nothing.", "default-src 'none'"),
}
#: Headers of problems, besides the trace, by status.
_OF_PROBLEMS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
#: Problems of each call that is not open to everyone.
_OF_CLOSED = ("unauthorized", "forbidden", "too-many-requests", "overloaded", "unavailable")
#: Problems that no operation has: of another path or method, or of what is no request.
_OF_NO_CALL = ("no-such-page", "method-not-allowed", "not-http", "head-too-large")


def document(operations: Collection[Operation], *, version: str) -> dict[str, Any]:
    """
    Describe *operations* and nothing else.

    Args:
        version: Of the product.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    named = {name for operation in operations for name in _problems_of(operation)}
    responses = {
        name: _response([name]) for name in (*map(str, Name),) if name in {*named, *_OF_NO_CALL}
    }
    used = {operation.tag for operation in operations}
    return {
        "openapi": VERSION,
        "info": {
            "title": "Invigil",
            "version": version,
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "this gateway"}],
        "tags": [{"name": name, "description": s} for name, s in TAGS.items() if name in used],
        "paths": paths,
        "components": {
            "schemas": needed(
                schemas(SCHEMAS) | {"Document": {"type": "object"}}, [paths, responses]
            ),
            "responses": responses,
            "headers": {name: _header(name) for name in HEADERS},
            "securitySchemes": {"key": KEY_SCHEME},
        },
    }


def needed(named: Mapping[str, Any], users: Iterable[object]) -> dict[str, Any]:
    """Keep those schemas that *users* refer to, directly or through each other."""
    found: set[str] = set()
    todo = [_names(users)]
    while todo:
        for name in todo.pop() - found:
            found.add(name)
            todo.append(_names(named[name]))
    return {name: schema for name, schema in sorted(named.items()) if name in found}


def _names(values: object) -> set[str]:
    return set(re.findall(rf'"\$ref": "{SCHEMAS}(\w+)"', json.dumps(values, default=list)))


def _problems_of(operation: Operation) -> set[str]:
    return {*operation.problems, "internal", *(_OF_CLOSED if operation.scope else ())}


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.text,
        "security": [{"key": []}] if operation.scope else [],
    }
    if operation.scope:
        described["x-scope"] = operation.scope.value
    if operation.parameters:
        described["parameters"] = [_parameter(one) for one in operation.parameters]
    if operation.body:
        described["requestBody"] = _body(operation.body)
    answers = {str(one.status): _answer(one) for one in operation.answers}
    return described | {"responses": answers | _problems(_problems_of(operation))}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.text,
        "schema": dict(parameter.schema),
        **({} if parameter.example is None else {"example": parameter.example}),
    }


def _body(body: Body) -> dict[str, Any]:
    examples = {name: {"value": value} for name, value in body.examples.items()}
    schema = _schema(body.shape) | ({"pattern": body.pattern} if body.pattern else {})
    content = {body.media: {"schema": schema, "examples": examples}}
    return {"required": True, "description": body.text, "content": content}


def _answer(answer: Answer) -> dict[str, Any]:
    content = {"schema": _schema(answer.shape), "example": answer.example}
    links = {
        link.to: {
            "operationId": link.to,
            "parameters": dict(link.given),
            "description": link.text,
            **({} if link.is_certain else {"x-optional": True}),
        }
        for link in answer.links
    }
    return {
        "description": answer.text,
        "headers": _headers(answer.headers),
        "content": {answer.media: content},
        **({"links": links} if links else {}),
    }


def _problems(names: Collection[str]) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for name in Name:  # in the order of the table
        if name in names:
            by_status.setdefault(str(TABLE[name][0]), []).append(name)
    return {
        status: {"$ref": f"{RESPONSES}{found[0]}"} if len(found) == 1 else _response(found)
        for status, found in by_status.items()
    }


def _response(names: Sequence[str]) -> dict[str, Any]:
    """Describe an answer that is one of the problems, all of one status."""
    documents = {name: example(Name(name)) for name in names}
    types = {"type": {"enum": [one["type"] for one in documents.values()]}}
    explained = "\n\n".join(
        f"**{TABLE[Name(name)][1]}** (`{name}`). {GUIDE[name].when} {GUIDE[name].remedy}"
        for name in names
    )
    content = {
        "schema": {"allOf": [_schema("Problem"), {"properties": types}]},
        "examples": {
            name: {"summary": TABLE[Name(name)][1], "value": one} for name, one in documents.items()
        },
    }
    status = TABLE[Name(names[0])][0]
    return {
        "description": explained,
        "headers": _headers(_OF_PROBLEMS.get(status, ())),
        "content": {CONTENT_TYPE: content},
    }


def _schema(shape: str) -> dict[str, str]:
    return {"$ref": f"{SCHEMAS}{shape}"} if shape else {"type": "string"}


def _header(name: str) -> dict[str, Any]:
    text, shown = HEADERS[name]
    return {"description": text, "schema": {"type": "string"}, "example": shown}


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("traceparent", *names)}
