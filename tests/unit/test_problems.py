"""Problems: what a client is told, from any error."""

import json
import re
from pathlib import Path

import pytest
from aiohttp import web

import ingest
from ingest.answering import Unavailable
from ingest.faults import Fault, InvalidCommand
from ingest.problems import TABLE, Name, Refusal, of_faults, of_status, problem
from ingest.refusals import to_problem


def test_each_name_has_a_status_and_a_title() -> None:
    """The table knows every problem, each an error, each with words of its own."""
    titles = {title for _, title in TABLE.values()}

    assert set(Name) == set(TABLE)
    assert len(Name) == len(titles)
    assert all(400 <= status < 600 for status, _ in TABLE.values())


def test_each_name_is_in_use() -> None:
    """The list of problems names none that the gateway never gives."""
    sources = Path(ingest.__path__[0]).glob("*.py")
    text = "".join(path.read_text() for path in sources if path.name != "problems.py")
    used = {Name[name] for name in re.findall(r"\bName\.([A-Z_]+)", text)}
    of_framework = {of_status(status, "").type for status in (404, 405)}

    unused = {name for name in Name if name not in used}

    assert of_framework == {f"urn:invigil:problem:{name}" for name in unused}


def test_document_has_the_members_of_the_rfc() -> None:
    """A problem goes out with type, title, status and detail, and what is particular to it."""
    document = problem(Name.UNAVAILABLE, "come again", redis="away").document()

    assert document == {
        "type": "urn:invigil:problem:unavailable",
        "title": "What is needed for this is away",
        "status": 503,
        "detail": "come again",
        "redis": "away",
    }


def test_faults_are_listed_by_field() -> None:
    """A client program finds each wrong field with its message, a person reads them in a line."""
    found = of_faults(Name.INVALID_COMMAND, [Fault("pk", "is missing"), Fault("x", "is odd")])

    assert found.detail == "pk: is missing; x: is odd"
    assert found.more["errors"] == [
        {"field": "pk", "message": "is missing"},
        {"field": "x", "message": "is odd"},
    ]


def test_unnamed_status_is_about_blank() -> None:
    """A status without a name of ours says no more than its phrase, as the RFC has it."""
    found = of_status(417, "POST /echo")

    assert (found.type, found.title) == ("about:blank", "Expectation Failed")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refusal(problem(Name.UNKNOWN_EXAM, "no exam a")), 404),
        (InvalidCommand(Fault("pk", "is missing")), 422),
        (Unavailable("no answer"), 503),
        (web.HTTPNotFound(), 404),
        (web.HTTPMethodNotAllowed("PUT", ["GET"]), 405),
        (web.HTTPForbidden(), 403),
        (ZeroDivisionError("division by zero"), 500),
    ],
)
def test_every_error_becomes_a_problem(error: Exception, status: int) -> None:
    """Whatever is raised, the client gets a problem with the status that fits."""
    assert to_problem(error, where="GET /").status == status


def test_unexpected_error_stays_inside() -> None:
    """What an unexpected error says is for the log: the client sees nothing of it."""
    error = RuntimeError("password=hunter2 in /etc/secret")

    document = json.dumps(to_problem(error, where="GET /").document())

    assert "hunter2" not in document
    assert "RuntimeError" not in document
