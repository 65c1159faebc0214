"""Hardening: what every answer tells browsers and caches, and which other sites' pages may ask."""

from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import istr

from ops.settings import Settings

SERVER = istr("Server")
#: Of every answer that does not say otherwise. aiohttp would name itself and its version as server.
HEADERS: dict[str, str] = {
    SERVER: "invigil",
    istr("X-Content-Type-Options"): "nosniff",
    istr("X-Frame-Options"): "DENY",
    istr("Referrer-Policy"): "no-referrer",
    istr("Content-Security-Policy"): "default-src 'none'; frame-ancestors 'none'",
    istr("Cache-Control"): "no-store",
}
#: Two years, over TLS. Without it a browser may be led to an unencrypted copy of the site.
SECURE_HEADERS = HEADERS | {istr("Strict-Transport-Security"): "max-age=63072000"}
#: What pages of other sites may send and see, once they are allowed to.
REQUEST_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, traceparent"
ANSWER_HEADERS = "Link, Location, Preference-Applied, Retry-After, traceparent"
#: Seconds for which a browser believes a preflight.
MAX_AGE_S = 600


#: Where pages of other sites may call, also of an answer to none: caches keep one of both.
VARY = ("Vary", "Origin")


def of_every_answer(settings: Settings) -> dict[str, str]:
    """List what `harden` and `Origins.allow` add to an answer that is asked for by no page."""
    own = _headers(is_secure=settings.scheme == "https")
    return {**own, **(dict([VARY]) if settings.cors_origins else {})}


def _headers(*, is_secure: bool) -> dict[str, str]:
    return SECURE_HEADERS if is_secure else HEADERS


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers to an answer that is about to go out (for ``on_response_prepare``)."""
    headers = response.headers
    headers[SERVER] = HEADERS[SERVER]  # aiohttp has set it already
    for name, value in _headers(is_secure=request.secure).items():
        headers.setdefault(name, value)


class Origins:
    """
    Sites whose pages may call from a browser (CORS); none, unless they are named.

    Args:
        allowed: Origins as browsers send them, such as ``https://exams.example.org``.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)

    @web.middleware
    async def preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a browser that asks whether a page may call; it has no key to show."""
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not (asks and self._origin(request)):
            return await handler(request)
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": REQUEST_HEADERS,
                "Access-Control-Max-Age": str(MAX_AGE_S),
            },
        )

    async def allow(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let a page see an answer that is about to go out (for ``on_response_prepare``)."""
        if not self._allowed:
            return
        response.headers.add(*VARY)
        if origin := self._origin(request):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = ANSWER_HEADERS

    def _origin(self, request: web.Request) -> str | None:
        given = request.headers.get("Origin")
        return given if given in self._allowed else None
