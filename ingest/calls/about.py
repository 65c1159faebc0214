"""About: the calls about the system itself. Values only."""

from ingest.access import Scope
from ingest.calls.operation import Answer, Operation
from ingest.calls.parts import ABOUT
from ingest.calls.samples import METRICS

CALLS = (
    Operation(
        id="isAlive",
        method="GET",
        path="/livez",
        tag=ABOUT,
        summary="Ask whether the gateway lives",
        text="Asks nobody else: for who restarts processes.",
        scope=None,
        answers=(Answer(status=200, text="It does.", shape="Alive", example={"status": "alive"}),),
    ),
    Operation(
        id="isReady",
        method="GET",
        path="/readyz",
        tag=ABOUT,
        summary="Ask whether commands can be taken",
        text="Answers within a second: for who sends traffic.",
        scope=None,
        answers=(
            Answer(
                status=200,
                text="They can. Without a dispatcher they wait on the stream.",
                shape="Ready",
                example={"status": "ready", "redis": "ready", "dispatcher": "active"},
            ),
        ),
        problems=("unavailable",),
    ),
    Operation(
        id="showMetrics",
        method="GET",
        path="/metrics",
        tag=ABOUT,
        summary="Get the metrics",
        text="Of this gateway and of all other parts, for Prometheus; in OpenMetrics where that is "
        "what `Accept` asks for. While Redis is away it is answered all the same, with "
        "`invigil_redis_up 0` and without what only Redis knows.",
        scope=Scope.READ,
        answers=(Answer(status=200, text="The metrics.", media="text/plain", example=METRICS),),
    ),
    Operation(
        id="describe",
        method="GET",
        path="/openapi.json",
        tag=ABOUT,
        summary="Get this description",
        text="OpenAPI 3.1.",
        scope=Scope.READ,
        answers=(
            Answer(
                status=200,
                text="The document.",
                shape="Document",
                example={"openapi": "3.1.0"},
            ),
        ),
    ),
    Operation(
        id="describeStreams",
        method="GET",
        path="/asyncapi.json",
        tag=ABOUT,
        summary="Get the description of the streams in Redis",
        text="AsyncAPI 3.0: commands, events and dead letters, for who needs no HTTP.",
        scope=Scope.READ,
        answers=(
            Answer(
                status=200,
                text="The document.",
                shape="Document",
                example={"asyncapi": "3.0.0"},
            ),
        ),
    ),
    Operation(
        id="readDocs",
        method="GET",
        path="/docs",
        tag=ABOUT,
        summary="Read this description as a page",
        text="One page that loads nothing else.",
        scope=Scope.READ,
        answers=(
            Answer(
                status=200,
                text="The page.",
                media="text/html",
                example="<!doctype html>",
                headers=("Content-Security-Policy",),
            ),
        ),
    ),
)
