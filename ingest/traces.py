"""Traces: the middleware that gives each request its trace, and its lines and answer with it."""

from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.contextvars import bound_contextvars

from ops import trace
from ops.trace import Trace

#: The request's own step of its trace, for what it sends on.
TRACE = web.RequestKey("TRACE", Trace)


@web.middleware
async def follow(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Go on with the caller's trace, or begin one; name it in every line and in the answer."""
    own = _own(request)
    request[TRACE] = own
    with bound_contextvars(trace_id=own.trace_id):
        response = await handler(request)
    response.headers[trace.NAME] = trace.header(own)
    return response


def _own(request: web.Request) -> Trace:
    """Make this request's step; a malformed header, or two of them, is as good as none."""
    given = request.headers.getall(trace.NAME, [])
    received = trace.parse(given[0]) if len(given) == 1 else None
    return trace.child(received) if received else trace.new()
