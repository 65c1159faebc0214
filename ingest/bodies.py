"""Bodies: from the bytes of a request to the one JSON object that every command is sent as."""

import asyncio
import random

from aiohttp import web

from ingest.faults import Fault, InvalidCommand, kind
from ingest.problems import Name, Refusal, of_faults, problem
from ingest.strict_json import load_json

#: Bytes of a body: what one command can carry. More is answered 413.
MAX_BODY_BYTES = 65_536
#: Seconds for a body to be there, from when on it is waited for: 11 kB/s, also over a bad line.
BODY_S = 6.0
#: Seconds by which one has more time than another. Hundreds that stall at once would else all be
#: answered in the same moment, and who does not stall would wait for it.
SPREAD_S = 1.0
JSON_TYPE = "application/json"


async def read_object(request: web.Request) -> dict[str, object]:
    """
    Read the body as a JSON object.

    Raises:
        Refusal: Empty, too large, too slow, broken on the way, not declared as JSON in UTF-8, not
            JSON.
        InvalidCommand: JSON, but not an object.
    """
    text = await _read(request)
    if not text:
        raise Refusal(
            of_faults(Name.EMPTY_BODY, [Fault("body", "is empty; send a JSON object, at least {}")])
        )
    _check_type(request)
    try:
        values = load_json(text, called="body")
    except InvalidCommand as error:
        raise Refusal(of_faults(Name.NOT_JSON, error.faults)) from error
    if not isinstance(values, dict):
        raise InvalidCommand(Fault("body", f"must be a JSON object, not {kind(values)}"))
    return values


def spread(limit_s: float) -> float:
    """Make a limit a little longer, each time by another bit."""
    return limit_s + SPREAD_S * random.random()  # noqa: S311 - nobody has to be unable to guess it


async def _read(request: web.Request) -> bytes:
    try:
        # Most are there when their head is: a timer for each would cost more than to read it.
        if request.content.is_eof():
            return await request.read()
        async with asyncio.timeout(spread(BODY_S)):
            return await request.read()
    except TimeoutError as error:
        detail = f"the body was not whole after {BODY_S:.0f} s; nothing was taken"
        raise Refusal(problem(Name.TOO_SLOW, detail)) from error
    except web.HTTPRequestEntityTooLarge as error:
        detail = f"the body has more than {MAX_BODY_BYTES} bytes"
        raise Refusal(problem(Name.TOO_LARGE, detail)) from error
    except (web.RequestPayloadError, ConnectionError) as error:
        detail = "the body ended early, or is not compressed as it says"
        raise Refusal(problem(Name.BROKEN_BODY, detail)) from error


def _check_type(request: web.Request) -> None:
    if request.headers.get("Content-Type") == JSON_TYPE:
        return
    charset = (request.charset or "utf-8").lower()
    if request.content_type != JSON_TYPE or charset not in {"utf-8", "utf8"}:
        seen = ascii(request.headers.get("Content-Type", "none"))
        fault = Fault("content-type", f"must be {JSON_TYPE} in UTF-8, not {seen}")
        raise Refusal(of_faults(Name.NOT_JSON_TYPE, [fault]))
