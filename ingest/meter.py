"""Meter: what this gateway counts itself, and the middleware that times each request."""

import time
from functools import lru_cache

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from ingest.calls.table import OPERATIONS
from ingest.commands import TYPES
from ingest.failed import FAILED
from ingest.lines import NOT_OURS
from ingest.preferences import APPLIED
from ingest.problems import TABLE, Name, Problem
from ingest.sse import CONTENT_TYPE as ENDLESS

#: Upper bounds, in seconds, of the buckets in which requests are counted.
BOUNDS_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = frozenset({"GET", "HEAD", "POST"})
#: Label of all that is none of ours, so that nobody can make more of them by asking.
OTHER = "other"

#: What each metric says, for people.
ACCEPTED = (
    "Commands that this gateway has put on the stream and answered for, by type. One whose answer "
    "from Redis was lost is not among them, though Redis may have it."
)
REFUSED = (
    "Requests that this gateway answered with a problem, by route and by the problem's name "
    "(docs/problems.md). What the rules of exams refuse is in invigil_commands_applied_total."
)
LINES_REFUSED = "Lines of POST /commands that were answered with a problem, by its name."
REQUESTS = (
    "Time from a request's headers to the end of its handling, by method, route, class of the "
    'status, and wait="true" where the client preferred to wait for what came of its command. '
    "Streams of GET /events are not among them."
)
READERS = "Clients that listen to GET /events at this gateway."
CONNECTIONS = "Connections of clients that are open at this gateway, idle ones among them."

# When a counter began is what `process_start_time_seconds` says, once for all of them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Meter:
    """
    The metrics of one gateway, in its memory; each gateway has its own, as Prometheus wants it.

    Attributes:
        registry: Where they are found.
        readers: Clients that listen to the events.
        connections: Open connections of clients.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._accepted = Counter(
            "invigil_commands_accepted", ACCEPTED, ["type"], registry=self.registry
        )
        self._refused = Counter(
            "invigil_requests_refused", REFUSED, ["route", "problem"], registry=self.registry
        )
        self._lines_refused = Counter(
            "invigil_lines_refused", LINES_REFUSED, ["problem"], registry=self.registry
        )
        self._requests = Histogram(
            "invigil_http_request_duration_seconds",
            REQUESTS,
            ["method", "route", "status", "wait"],
            buckets=BOUNDS_S,
            registry=self.registry,
        )
        # What finds a counter by its labels takes longer than to count; there are few of them.
        self._timer = lru_cache(self._requests.labels)
        self._accepted_of = lru_cache(self._accepted.labels)
        self.readers = Gauge("invigil_event_readers", READERS, registry=self.registry)
        self.connections = Gauge("invigil_http_connections", CONNECTIONS, registry=self.registry)
        # A rate is seen from the second value on: the first one is to be a zero.
        for name in TYPES:
            if name != NOT_OURS:
                self._accepted.labels(name)
        for problem in (Name.NOT_JSON, Name.INVALID_COMMAND, Name.TOO_LARGE):
            self._lines_refused.labels(problem)
        for path in (*(operation.path for operation in OPERATIONS), OTHER):
            self._refused.labels(path, Name.INTERNAL)

    def accept(self, kind: str, *, count: int = 1) -> None:
        """Count commands, by their type."""
        self._accepted_of(kind).inc(count)

    def refuse(self, request: web.Request, problem: Problem) -> None:
        """Count a request that is answered with a problem."""
        self._refused.labels(_route(request), _name(problem)).inc()

    def refuse_line(self, problem: Problem) -> None:
        """Count a line that is."""
        self._lines_refused.labels(_name(problem)).inc()

    def answer(self, request: web.Request, response: web.StreamResponse, *, took_s: float) -> None:
        """Count and time a request that was answered."""
        if not isinstance(response, web.Response) and response.content_type == ENDLESS:
            return
        method = request.method if request.method in METHODS else OTHER
        wait = "true" if APPLIED in response.headers else "false"
        self.time((method, _route(request), f"{response.status // 100}xx", wait), took_s)

    def time(self, labels: tuple[str, str, str, str], took_s: float) -> None:
        """Count and time an answer, by method, route, class of its status, and ``wait``."""
        self._timer(*labels).observe(took_s)


METER = web.AppKey("METER", Meter)


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Time a request, whatever comes of it."""
    failed = request.get(FAILED)
    began_s = failed.began_s if failed else time.perf_counter()
    response = await handler(request)
    request.app[METER].answer(request, response, took_s=time.perf_counter() - began_s)
    return response


def _route(request: web.Request) -> str:
    """Name the pattern of a path, of which there are few; never the path itself."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else OTHER


def _name(problem: Problem) -> str:
    """Take a problem's name from its type; one that the framework found has none."""
    name = problem.type.rpartition(":")[2]
    return name if name in TABLE else OTHER
