"""Exams: the calls that move or show one exam. Values only."""

from ingest.access import Scope
from ingest.calls.operation import Answer, Body, Operation
from ingest.calls.parts import (
    APPLIED,
    EXAMS,
    KEY,
    PK,
    PREFER,
    REFUSED,
    SENDING,
    TO_COMMAND,
    TO_EXAM,
    TO_RESULT,
    taken,
)
from ingest.calls.samples import ACCEPTED, EXAM, RESULTS, RUNNING, STARTED

CALLS = (
    Operation(
        id="startExam",
        method="POST",
        path="/exams",
        tag=EXAMS,
        summary="Start an exam",
        text="The clock starts with the command's arrival on the stream. Without a `pk` the "
        "gateway makes one; without a `duration` it is 120 seconds, or as the system is set.",
        parameters=(KEY, PREFER),
        body=Body(text="What to start.", shape="StartExam", examples=STARTED),
        scope=Scope.WRITE,
        answers=(
            Answer(
                status=201,
                text="The exam has been started.",
                shape="Exam",
                example=RUNNING,
                headers=("Location", *APPLIED),
                links=(TO_EXAM, TO_RESULT),
            ),
            taken(ACCEPTED, TO_EXAM, TO_RESULT, TO_COMMAND, headers=("Location", *APPLIED)),
        ),
        problems=(*SENDING, *REFUSED),
    ),
    Operation(
        id="reportResult",
        method="POST",
        path="/exams/{pk}/result",
        tag=EXAMS,
        summary="Report an exam's result",
        text="The first result that came in before the deadline counts. Others stay in the exam's "
        "history, refused.",
        parameters=(PK, KEY, PREFER),
        body=Body(text="The result.", shape="Result", examples=RESULTS),
        scope=Scope.WRITE,
        answers=(
            Answer(
                status=200,
                text="The result counts.",
                shape="Exam",
                example=EXAM,
                headers=APPLIED,
                links=(TO_EXAM,),
            ),
            taken(ACCEPTED, TO_EXAM, TO_COMMAND, headers=("Location", *APPLIED)),
        ),
        problems=(*SENDING, *REFUSED, "unknown-exam"),
    ),
    Operation(
        id="showExam",
        method="GET",
        path="/exams/{pk}",
        tag=EXAMS,
        summary="Show an exam",
        text="The document as it lies on disk, history included.",
        parameters=(PK,),
        scope=Scope.READ,
        answers=(
            Answer(status=200, text="The exam.", shape="Exam", example=EXAM, links=(TO_RESULT,)),
        ),
        problems=("unknown-exam", "invalid-command", "damaged-exam", "unavailable"),
    ),
)
