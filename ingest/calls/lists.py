"""Lists: the calls that show many exams. Values only."""

from ingest.access import Scope
from ingest.calls.operation import Answer, Link, Operation, Parameter
from ingest.calls.parts import EXAMS, TEXT
from ingest.calls.samples import COUNTS, LIST

CALLS = (
    Operation(
        id="listExams",
        method="GET",
        path="/exams",
        tag=EXAMS,
        summary="List exams, newest first",
        text="A page at a time. Pages stay in order while exams change: none is shown twice, and "
        "none that was there all the time is left out.",
        parameters=(
            Parameter(
                name="status",
                place="query",
                text="Only exams that stand so.",
                schema={**TEXT, "enum": ["started", "pass", "fail", "absent"]},
            ),
            Parameter(
                name="since",
                place="query",
                text="Only exams started then or later: ISO 8601 with a zone, or milliseconds.",
                schema={
                    "anyOf": [
                        {**TEXT, "format": "date-time"},
                        {"type": "integer", "minimum": 0, "maximum": 253_402_300_799_999},
                    ]
                },
                example="2026-11-25T00:00:00Z",
            ),
            Parameter(
                name="limit",
                place="query",
                text="Exams in one page.",
                schema={"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
            ),
            Parameter(
                name="cursor",
                place="query",
                text="`next` of the page before, as it came, with the same filters.",
                schema=TEXT,
            ),
        ),
        scope=Scope.READ,
        answers=(
            Answer(
                status=200,
                text="A page.",
                shape="ExamList",
                example=LIST,
                headers=("Link",),
                links=(
                    Link(
                        to="showExam",
                        given={"pk": "$response.body#/exams/0/pk"},
                        text="The newest of the page; an empty one has none.",
                        is_certain=False,
                    ),
                    Link(
                        to="listExams",
                        given={"cursor": "$response.body#/next"},
                        text="The next page; none when `next` is null.",
                        is_certain=False,
                    ),
                ),
            ),
        ),
        problems=("invalid-query", "unavailable"),
    ),
    Operation(
        id="countExams",
        method="GET",
        path="/exams/counts",
        tag=EXAMS,
        summary="Count exams by status",
        text="Kept up to date with each change; nothing is scanned. An exam named `counts` can be "
        "started, and is seen in the list only.",
        scope=Scope.READ,
        answers=(
            Answer(
                status=200,
                text="The counts.",
                shape="Counts",
                example=COUNTS,
            ),
        ),
        problems=("invalid-query", "unavailable"),
    ),
)
