"""The OpenAPI document: valid by others' rules, and true of the application and its models."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from support.documents import to_document

from filestore.exam import transition
from filestore.fact import Fact, Type
from filestore.store import Store
from ingest import openapi
from ingest.calls.operation import Operation
from ingest.calls.table import OPERATIONS
from ingest.commands import parse
from ingest.faults import InvalidCommand
from ingest.gateway import make_app
from ingest.guide import GUIDE
from ingest.openapi import document
from ingest.problems import Name, problem
from ops.settings import Settings

DOCUMENT = document(OPERATIONS, version="1.2.3")


def faults(described: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    """What is wrong with a value, by a schema of the document."""
    validator = Draft202012Validator(
        {"components": described["components"], **schema},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    return [error.message for error in validator.iter_errors(value)]


def of(shape: str) -> dict[str, Any]:
    """Refer to a schema by its name."""
    return {"$ref": f"{openapi.SCHEMAS}{shape}"}


def contents(value: Any) -> Iterator[dict[str, Any]]:
    """Every place of a document that has a schema and an example of it."""
    if isinstance(value, dict):
        if "schema" in value and ("example" in value or "examples" in value):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from contents(one)


def test_document_is_valid() -> None:
    """The document is OpenAPI by the rules of a validator that is not ours."""
    validate(DOCUMENT)


async def test_every_route_is_described(tmp_path: Path) -> None:
    """What the application answers is in the document, and nothing else is."""
    async with redis.asyncio.Redis() as client:
        app = make_app(Settings(), client, Store(tmp_path))
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource and route.method != "HEAD"  # comes with each GET
    }
    paths = DOCUMENT["paths"].items()

    assert routes == {one.route for one in OPERATIONS}
    assert routes == {(method.upper(), path) for path, of in paths for method in of}


def test_each_problem_is_explained() -> None:
    """The guide has every problem of the table, and no other."""
    assert set(GUIDE) == set(Name)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_each_call_names_problems_that_there_are(operation: Operation) -> None:
    """No call promises a problem that nobody explains."""
    assert set(operation.problems) <= set(GUIDE)


def test_each_problem_is_described() -> None:
    """The document has an answer for each problem, with its type, its status and an example."""
    for name, answer in DOCUMENT["components"]["responses"].items():
        [content] = answer["content"].values()
        shown = content["examples"][name]["value"]
        assert problem(Name(name), "").type == shown["type"]

    assert list(map(str, Name)) == list(DOCUMENT["components"]["responses"])


def test_examples_are_what_they_show() -> None:
    """Each example fits the schema beside it."""
    seen = 0
    for content in contents(DOCUMENT):
        examples = [one["value"] for one in content.get("examples", {}).values()]
        for value in examples or [content["example"]]:
            assert [] == faults(DOCUMENT, content["schema"], value)
            seen += 1

    assert seen > 40


def test_links_lead_somewhere() -> None:
    """Each link names a call of the document and a parameter that it has."""
    calls = {
        one["operationId"]: one for path in DOCUMENT["paths"].values() for one in path.values()
    }
    links = [
        link
        for call in calls.values()
        for answer in call["responses"].values()
        for link in answer.get("links", {}).values()
    ]

    assert len(links) >= 3
    for link in links:
        parameters = {one["name"] for one in calls[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= parameters


@pytest.mark.parametrize(
    ("shape", "type_name", "body", "more"),
    [
        ("StartExam", "exam.start", {}, {"pk": "made"}),
        ("StartExam", "exam.start", {"pk": "a", "duration": 5}, {}),
        ("StartExam", "exam.start", {"pk": "a", "duration": None}, {}),
        ("StartExam", "exam.start", {"pk": "a", "duration": 0}, {}),
        ("StartExam", "exam.start", {"pk": "a", "duration": 604_801}, {}),
        ("StartExam", "exam.start", {"pk": "a", "duration": "5"}, {}),
        ("StartExam", "exam.start", {"pk": "a", "length": 5}, {}),
        ("StartExam", "exam.start", {"pk": None}, {}),
        ("StartExam", "exam.start", {"pk": "../a"}, {}),
        ("StartExam", "exam.start", {"pk": "a" * 64}, {}),
        ("StartExam", "exam.start", {"pk": "a" * 65}, {}),
        ("StartExam", "exam.start", [], {}),
        ("Result", "exam.finish", {"status": "pass"}, {"pk": "a"}),
        ("Result", "exam.finish", {"status": "absent"}, {"pk": "a"}),
        ("Result", "exam.finish", {}, {"pk": "a"}),
        ("Echo", "echo", {"text": ""}, {}),
        ("Echo", "echo", {"text": "x" * 10_001}, {}),
        ("Echo", "echo", {"text": "x", "delay": 0.5}, {}),
        ("Echo", "echo", {"text": "x", "delay": 3_601}, {}),
        ("Echo", "echo", {"delay": 1}, {}),
    ],
)
def test_bodies_are_judged_as_by_the_models(
    shape: str, type_name: str, body: Any, more: dict[str, object]
) -> None:
    """A body that the document allows is a command, and one that it does not is none."""
    try:
        parse(type_name, {**more, **body} if isinstance(body, dict) else body)
        is_command = True
    except InvalidCommand:
        is_command = False

    assert is_command == ([] == faults(DOCUMENT, of(shape), body))


def test_body_of_a_result_names_no_exam() -> None:
    """The path names the exam: a body that does as well is refused, and described so."""
    assert faults(DOCUMENT, of("Result"), {"status": "pass", "pk": "a"})


def test_exam_on_disk_is_as_described() -> None:
    """A document with every kind of record in it fits its schema."""
    at = 1_763_822_000_000
    kinds: list[tuple[Type, int | str, str | None]] = [
        (Type.START, 1, None),
        (Type.FINISH, "pass", None),
        (Type.FINISH, "fail", "school"),
    ]
    facts = [
        Fact(at_ms=at + n, entry=f"{at + n}-0", command=f"c{n}", source=by, type=kind, value=value)
        for n, (kind, value, by) in enumerate([*kinds, (Type.EXPIRE, at + 1_000, None)])
    ]
    exam = transition("math-7", None, facts).exam
    assert exam

    made = json.loads(json.dumps(to_document(exam)))

    assert {"applied", "refused"} == {one["verdict"] for one in made["history"]}
    assert [] == faults(DOCUMENT, of("Exam"), made)
    assert faults(DOCUMENT, of("Exam"), {**made, "status": "lost"})
