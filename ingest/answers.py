"""Answers: JSON as the gateway writes it."""

import json
from collections.abc import Mapping

from aiohttp import web

from ingest.bodies import JSON_TYPE

_encode = json.JSONEncoder(separators=(",", ":")).encode


def answer(
    values: Mapping[str, object],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = JSON_TYPE,
) -> web.Response:
    """Make an answer of one line of JSON."""
    body = _encode(values).encode() + b"\n"
    return web.Response(body=body, status=status, headers=headers, content_type=content_type)
