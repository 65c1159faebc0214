"""Pages: the routes that describe the gateway and the streams, made once, when first asked for."""

import asyncio
import functools
import json
from importlib.metadata import version

from aiohttp import web

from ingest import asyncapi, docs_page, openapi
from ingest.bodies import JSON_TYPE
from ingest.calls.table import OPERATIONS


async def show_openapi(_request: web.Request) -> web.Response:
    """``GET /openapi.json``."""
    return web.Response(body=await asyncio.to_thread(_openapi), content_type=JSON_TYPE)


async def show_asyncapi(_request: web.Request) -> web.Response:
    """``GET /asyncapi.json``."""
    return web.Response(body=await asyncio.to_thread(_asyncapi), content_type=JSON_TYPE)


async def show_docs(_request: web.Request) -> web.Response:
    """``GET /docs``: a page that loads nothing."""
    return web.Response(
        text=await asyncio.to_thread(_docs),
        content_type="text/html",
        headers={"Content-Security-Policy": docs_page.HEADER_POLICY},
    )


@functools.cache
def _openapi() -> bytes:
    described = openapi.document(OPERATIONS, version=version("invigil"))
    return json.dumps(described, separators=(",", ":")).encode() + b"\n"


@functools.cache
def _asyncapi() -> bytes:
    described = asyncapi.document(version=version("invigil"))
    return json.dumps(described, separators=(",", ":")).encode() + b"\n"


@functools.cache
def _docs() -> str:
    return docs_page.render(json.loads(_openapi()))


ROUTES = (
    web.get("/openapi.json", show_openapi),
    web.get("/asyncapi.json", show_asyncapi),
    web.get("/docs", show_docs),
)
