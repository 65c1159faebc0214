"""Refusals: the middleware that turns whatever went wrong into a problem and a line of the log."""

from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.contextvars import bind_contextvars

from ingest import problems
from ingest.admission import API_KEY
from ingest.answering import Unavailable
from ingest.answers import answer
from ingest.failed import FAILED
from ingest.faults import InvalidCommand
from ingest.meter import METER
from ingest.problems import Name, Problem, Refusal
from ops.events import Event

log = structlog.get_logger()


@web.middleware
async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with a problem when *handler* raises."""
    try:
        return await _handle(request, handler)
    except Exception as error:
        problem = to_problem(error, where=f"{request.method} {ascii(request.path)[1:-1]}")
        tell(problem, error, request)
        request.app[METER].refuse(request, problem)
        return say(problem, _headers(problem, error))


async def _handle(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Have a request handled, unless it was and failed."""
    if failed := request.get(FAILED):
        bind_contextvars(**failed.about)
        raise failed.error
    return await handler(request)


def say(problem: Problem, headers: Mapping[str, str] | None = None) -> web.Response:
    """Make the answer that a problem is."""
    return answer(
        problem.document(),
        status=problem.status,
        headers=headers,
        content_type=problems.CONTENT_TYPE,
    )


def to_problem(error: Exception, *, where: str) -> Problem:
    """Sort an error by what the client can do about it; what we did not expect stays inside."""
    match error:
        case Refusal():
            return error.problem
        case InvalidCommand():
            return problems.of_faults(Name.INVALID_COMMAND, error.faults)
        case Unavailable():
            return problems.problem(Name.UNAVAILABLE, error.advice)
        case web.HTTPException():
            return problems.of_status(error.status, f"{where}: {error.reason}")
        case _:
            return problems.problem(Name.INTERNAL, f"{where} failed; the log says why")


def tell(problem: Problem, error: Exception, request: web.Request) -> None:
    """Write the line about a request, or a part of one, that is answered with a problem."""
    cause = error.__cause__ if isinstance(error, Refusal) else error
    about = {
        "status": problem.status,
        "method": request.method,
        "path": request.path,
        "problem": problem.type,
    }
    if key := request.get(API_KEY):
        about["key"] = key.id
    if problem.status == 429 or problem.type.endswith(f":{Name.OVERLOADED}"):
        return  # `ingest.rates` and `ingest.gauge` say so once, and count how many it were
    if problem.status in (401, 403):
        log.warning(Event.ACCESS_DENIED, **about, detail=problem.detail, peer=request.remote)
    elif problem.status < 500:
        log.info(Event.REQUEST_REFUSED, **about, detail=problem.detail)
    elif problem.type.endswith(f":{Name.INTERNAL}"):
        log.error(
            Event.REQUEST_FAILED, **about, detail=f"{type(cause).__name__}: {cause}", exc_info=cause
        )
    else:
        log.warning(Event.REQUEST_FAILED, **about, detail=str(cause or problem.detail))


def _headers(problem: Problem, error: Exception) -> dict[str, str]:
    if problem.status in (429, 503):
        after_s = error.retry_after_s if isinstance(error, Refusal) else problems.RETRY_AFTER_S
        return {"Retry-After": str(after_s)}
    if isinstance(error, web.HTTPMethodNotAllowed):
        return {"Allow": error.headers["Allow"]}
    if problem.status == 401:
        return {"WWW-Authenticate": 'Bearer realm="invigil"'}
    return {}
