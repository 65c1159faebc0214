"""Traces: the middleware that gives each request its trace, and its lines and answer with it."""

from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.contextvars import bind_contextvars

from ingest.failed import FAILED
from ops import telemetry, trace
from ops.trace import Trace

#: The request's own step of its trace, for what it sends on.
TRACE = web.RequestKey("TRACE", Trace)
#: What a collector is told of that step; handlers add what they come to know.
ABOUT = web.RequestKey("ABOUT", dict[str, str | int])


@web.middleware
async def follow(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Go on with the caller's trace, or begin one; name it in every line and in the answer."""
    received = _received(request)
    about = request[ABOUT] = _about(request) if telemetry.is_on() else {}
    with telemetry.span(_name(about), received, about, kind="server") as recorded:
        if failed := request.get(FAILED):
            own = failed.trace
        else:
            own = _own(received) if recorded is None or recorded is received else recorded
        request[TRACE] = own
        bind_contextvars(trace_id=own.trace_id)  # aiohttp gives each request a context of its own
        response = await handler(request)
        about["http.response.status_code"] = response.status
    response.headers[trace.NAME] = trace.header(own)
    return response


def _received(request: web.Request) -> Trace | None:
    """Read the caller's step; a malformed header, or two of them, is as good as none."""
    given = request.headers.getall(trace.NAME, [])
    return trace.parse(given[0]) if len(given) == 1 else None


def _own(received: Trace | None) -> Trace:
    """Make the request's step where nobody records one."""
    return trace.child(received) if received else trace.new()


def _about(request: web.Request) -> dict[str, str | int]:
    """Say what is asked for; the route, not the path, so that few names stand for all requests."""
    resource = request.match_info.route.resource
    route = {"http.route": resource.canonical} if resource else {}
    return {"http.request.method": request.method, "url.path": request.path, **route}


def _name(about: telemetry.Attributes) -> str:
    return " ".join(
        str(about[name]) for name in ("http.request.method", "http.route") if name in about
    )
