"""What the gateway says of itself and of the streams, over HTTP, and a real dead letter."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from redis import Redis
from support.gateway import Http, serving
from support.users import as_dispatcher

from filestore.store import Store
from ingest import asyncapi
from ops import keys
from tasks.dead import bury


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[Http]:
    """A client of a gateway whose Redis is away: a description needs none."""
    async with serving("redis://127.0.0.1:1", Store(tmp_path / "exams")) as http:
        yield http


async def test_openapi(http: Http) -> None:
    """The document comes as JSON, is valid, and has the version of the product."""
    response = await http.get("/openapi.json")

    document = json.loads(await response.text())
    assert (200, "application/json") == (response.status, response.content_type)
    assert "3.1.0" == document["openapi"]
    assert document["info"]["version"][0].isdigit()
    validate(document)


async def test_asyncapi(http: Http) -> None:
    """The document of the streams comes as JSON."""
    response = await http.get("/asyncapi.json")

    assert (200, "application/json") == (response.status, response.content_type)
    assert "3.0.0" == json.loads(await response.text())["asyncapi"]


async def test_docs(http: Http) -> None:
    """The page comes as HTML, and tells the browser to load nothing."""
    response = await http.get("/docs")

    assert (200, "text/html") == (response.status, response.content_type)
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert (await response.text()).startswith("<!doctype html>")


def test_dead_letter_is_as_described(client: Redis) -> None:
    """An entry that was buried is, field by field, what the document says."""
    client.xgroup_create(keys.COMMANDS, keys.GROUP, "0", mkstream=True)
    entry: Any = client.xadd(keys.COMMANDS, {"type": "exam.lose", "data": "{}"})
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"})
    assert bury(
        as_dispatcher(client), entry=entry.decode(), reason="type: is unknown", error="a digest"
    )

    dead: Any = client.xrange(keys.DEAD)
    [(_, fields)] = dead
    letter = {name.decode(): value.decode() for name, value in fields.items()}

    document = asyncapi.document(version="1")
    schema = document["components"]["schemas"]["DeadLetter"]
    assert [] == [error.message for error in Draft202012Validator(schema).iter_errors(letter)]
    ours = {name for name in letter if not name.startswith("field:")}
    assert ours == set(schema["properties"])
