"""Keys at the gateway: no call without the scope it needs, and none with a key that is no more."""

import asyncio
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from redis import Redis
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from support.gateway import Http, problem, process
from support.keyed import id_of, make, revoke, serving
from support.waiting import wait_until

from filestore.store import Store
from ingest import access, keyring
from ingest.access import Scope
from ingest.calls.operation import Operation
from ingest.calls.table import OPERATIONS
from ingest.gateway import make_app
from ops import keys
from ops.connect import connect_async
from ops.settings import Settings

CLOSED = [one for one in OPERATIONS if one.scope]
BODIES: dict[str, Any] = {
    "startExam": {"json": {"pk": "a"}},
    "reportResult": {"json": {"status": "pass"}},
    "echo": {"json": {"text": "hi"}},
    "sendCommands": {
        "data": b'{"type":"echo","data":{"text":"hi"}}',
        "headers": {"Content-Type": "application/x-ndjson"},
    },
}


@pytest.fixture
async def http(tmp_path: Path, client: Redis, server: Settings) -> AsyncIterator[Http]:
    """A gateway, and nobody has made a key."""
    async with serving(tmp_path, server.redis) as http:
        yield http


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """See each change at once."""
    monkeypatch.setattr(keyring, "BELIEVED_S", 0.0)


async def call(http: Http, operation: Operation, header: dict[str, str]) -> ClientResponse:
    """Make a call, as right as it can be."""
    path = re.sub(r"\{\w+\}", "a", operation.path)
    right = BODIES.get(operation.id, {})
    headers = {**right.get("headers", {}), **header}
    return await http.request(operation.method, path, **{**right, "headers": headers})


def test_every_route_has_a_scope(tmp_path: Path) -> None:
    """Each route is described, and so decided: open, to be read with, or to be written with."""
    app = make_app(Settings(), connect_async("redis://localhost:1"), Store(tmp_path))
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource and route.method != "HEAD"
    }

    decided = {one.route: one.scope for one in OPERATIONS}
    assert routes == set(decided)
    assert {("GET", "/livez"), ("GET", "/readyz")} == {
        r for r, scope in decided.items() if not scope
    }
    assert {scope for (method, _), scope in decided.items() if method == "POST"} == {Scope.WRITE}


async def test_none_needed_before_the_first(http: Http) -> None:
    """On this machine everyone is let in until a key was made."""
    assert 202 == (await http.post("/exams", json={"pk": "a"})).status


@pytest.mark.parametrize("operation", CLOSED, ids=lambda one: one.id)
async def test_nobody_without(
    http: Http, client: Redis, tmp_path: Path, operation: Operation
) -> None:
    """Without a key, or with one that is none, or no more, no call does anything."""
    before = written(client, tmp_path)
    good = make(tmp_path, Scope.ADMIN)["Authorization"]
    gone = make(tmp_path, Scope.ADMIN)
    revoke(tmp_path, gone)
    bad = {
        "wrong": good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
        "of another id": good.replace(good.split("_")[1], "0" * 8),
        "of another system": f"Bearer {access.new_key('x', Scope.ADMIN, now_ms=0)[1]}",
        "without its scheme": good.split()[1],
        "of another scheme": good.replace("Bearer", "Basic"),
        "cut": good[:-1],
        "with more behind it": f"{good}, {good}",
        "empty": "Bearer ",
    }
    ended = [gone, make(tmp_path, Scope.ADMIN, expires_ms=1)]
    for header in ({}, *ended, *({"Authorization": one} for one in bad.values())):
        response = await call(http, operation, header)
        assert (401, "unauthorized") == await problem(response), header
        assert 'Bearer realm="invigil"' == response.headers["WWW-Authenticate"]
    assert before == written(client, tmp_path)


@pytest.mark.parametrize("operation", CLOSED, ids=lambda one: one.id)
@pytest.mark.parametrize("scope", Scope)
async def test_scopes(
    http: Http, client: Redis, tmp_path: Path, operation: Operation, scope: Scope
) -> None:
    """A key does what its scope says, and who may only read cannot write anything."""
    header = make(tmp_path, scope)
    client.hset(keys.inbox("a"), "1-0", "[]")  # an exam that a result may be for
    before = written(client, tmp_path)
    assert operation.scope
    is_allowed = scope.includes(operation.scope)

    response = await call(http, operation, header)

    assert (response.status in (401, 403)) == (not is_allowed)
    if not is_allowed:
        assert (403, "forbidden") == await problem(response)
    does_write = is_allowed and operation.method == "POST"
    assert does_write == (before != written(client, tmp_path))
    response.close()


def written(client: Redis, data: Path) -> tuple[list[bytes], list[Path]]:
    """List what there is: names in Redis, with the stream among them, and files of exams."""
    names: Any = client.keys("*")
    return sorted(names), sorted((data / "exams").rglob("*.json"))


async def test_open_to_everyone(http: Http, tmp_path: Path) -> None:
    """Who restarts processes, and who sends traffic, needs no key."""
    make(tmp_path, Scope.READ)

    assert [200, 200] == [(await http.get(path)).status for path in ("/livez", "/readyz")]
    assert 405 == (await http.post("/livez")).status


@pytest.mark.parametrize("path", ["/none", "/exams/a/b", "/livez/x"])
async def test_nothing_is_told(http: Http, tmp_path: Path, path: str) -> None:
    """What paths there are is told to nobody without a key."""
    header = make(tmp_path, Scope.READ)

    assert 401 == (await http.get(path)).status
    assert 404 == (await http.get(path, headers=header)).status
    assert 401 == (await http.delete("/exams")).status


async def test_two_headers(http: Http, tmp_path: Path) -> None:
    """Two keys in one request are none."""
    header = make(tmp_path, Scope.WRITE)
    twice = [*header.items(), *header.items()]

    assert 401 == (await http.get("/exams", headers=twice)).status


async def test_who_sent_it(http: Http, client: Redis, tmp_path: Path) -> None:
    """The line of each command names the key that it came with; no line has the secret."""
    header = make(tmp_path, Scope.WRITE)
    reader = make(tmp_path, Scope.READ)
    with capture_logs(processors=[merge_contextvars]) as lines:
        await http.post("/exams", json={"pk": "a"}, headers=header)
        await http.post("/exams", json={"pk": "b"}, headers=reader)
        await http.post("/exams", json={"pk": "b"})

    about = [line for line in lines if line["event"] in ("accepted", "access_denied")]
    seen = [(line["event"], line.get("key"), line.get("status")) for line in about]
    assert [
        ("accepted", id_of(header), None),
        ("access_denied", id_of(reader), 403),
        ("access_denied", None, 401),
    ] == seen
    assert "127.0.0.1" == lines[-1]["peer"]
    secrets = [one["Authorization"].split("_", 2)[2] for one in (header, reader)]
    assert not any(secret in str(lines) for secret in secrets)


async def test_a_listener_is_sent_away(http: Http, tmp_path: Path) -> None:
    """Who listens with a key that is taken back hears no more."""
    header = make(tmp_path, Scope.READ)
    response = await http.get("/events", headers=header)
    assert 200 == response.status

    revoke(tmp_path, header)

    async with asyncio.timeout(30):
        await response.read()


async def test_a_long_body_is_cut(http: Http, client: Redis, tmp_path: Path) -> None:
    """A body under way with a key that is taken back is taken up to there."""
    header = make(tmp_path, Scope.WRITE)
    line = b'{"type":"echo","data":{"text":"hi"}}\n'

    async def body() -> AsyncIterator[bytes]:
        yield line
        taken = partial(client.exists, keys.COMMANDS)
        await asyncio.to_thread(wait_until, taken, saying="the first line is taken")
        revoke(tmp_path, header)
        yield line * 10 + line.rstrip()  # the last one without an end of its own

    response = await http.post(
        "/commands", data=body(), headers={**header, "Content-Type": "application/x-ndjson"}
    )

    first, *rest = (await response.text()).splitlines()
    assert "entry" in first
    assert "unauthorized" in rest[-1]
    assert 1 == client.xlen(keys.COMMANDS)


async def test_unreadable(http: Http, tmp_path: Path) -> None:
    """While the keys cannot be read nobody is let in, and the log says why, once."""
    header = make(tmp_path, Scope.WRITE)
    assert 404 == (await http.get("/none", headers=header)).status  # the whole of it was seen
    with capture_logs() as lines:
        keyring.file_of(tmp_path).chmod(0o644)
        async with asyncio.timeout(10):
            while (await http.get("/none", headers=header)).status == 404:
                pass
        answers = [await http.get("/exams", headers=header) for _ in range(3)]

    assert [503] * 3 == [answer.status for answer in answers]
    assert "chmod" not in await answers[0].text()
    assert 1 == sum(line["event"] == "unavailable" for line in lines)
    keyring.file_of(tmp_path).chmod(0o600)
    assert 404 == (await http.get("/none", headers=header)).status


def command(data: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run `invigil` as a user does."""
    known = {"INVIGIL_DATA": str(data), **env}
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", *words],
        env={**os.environ, **known},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("part", ["gateway", "up"])
def test_refuses_to_start(tmp_path: Path, part: str) -> None:
    """What others can reach does not start without a key, and says what to do."""
    result = command(tmp_path, part, INVIGIL_HOST="0.0.0.0", INVIGIL_PORT="0")

    assert 2 == result.returncode
    assert "INVIGIL_HOST" in result.stderr
    assert "invigil keys create" in result.stderr


def test_with_the_command_line(tmp_path: Path, server: Settings, client: Redis) -> None:
    """A key that the command line makes is good at every gateway, until it takes it back."""
    with (
        process(tmp_path, server.redis, INVIGIL_PART="first") as first,
        process(tmp_path, server.redis, INVIGIL_PART="second") as second,
    ):
        urls = first.url(), second.url()
        made = command(tmp_path, "keys", "create", "--name", "room", "--scope", "read", "--json")
        token = json.loads(made.stdout)["key"]
        wait_until(lambda: [401, 401] == [status(url) for url in urls], saying="keys are needed")
        assert [200, 200] == [status(url, token) for url in urls]

        assert 0 == command(tmp_path, "keys", "revoke", token.split("_")[1]).returncode

        wait_until(lambda: [401, 401] == [status(url, token) for url in urls], saying="it is gone")
    log = (tmp_path / "logs" / "keys.jsonl").read_text()
    assert ["key_created", "key_revoked"] == re.findall(r'"event": "(key_\w+)"', log)
    assert token.split("_", 2)[2] not in log


def status(url: str, token: str | None = None) -> int:
    """Ask a gateway for its description; the status of the answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{url}/openapi.json", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_list_and_mistakes(tmp_path: Path) -> None:
    """The list shows what a key is for and how it stands; mistakes are said in one line."""
    create = ("keys", "create", "--scope", "write", "--expires")
    for name in ("room", "[red]x"):
        assert 0 == command(tmp_path, *create, "30d", "--name", name).returncode
    listed = command(tmp_path, "keys", "list").stdout

    assert 2 == listed.count("write") == listed.count("valid")
    assert "[red]x" in listed
    unknown = command(tmp_path, "keys", "revoke", "00000000")
    assert (1, True) == (unknown.returncode, "invigil keys list" in unknown.stderr)
    assert 2 == command(tmp_path, *create, "30d", "--name", "").returncode
    assert 2 == command(tmp_path, *create, "1y", "--name", "a").returncode
    (tmp_path / "keys.json").chmod(0o644)
    for result in (
        command(tmp_path, "keys", "list"),
        command(tmp_path, *create, "1d", "--name", "a"),
    ):
        assert (2, True) == (result.returncode, "chmod 600" in result.stderr)


def test_send_file_with_a_key(tmp_path: Path, server: Settings, client: Redis) -> None:
    """`invigil send --file` shows the key of INVIGIL_KEY, and keeps it to itself."""
    made = command(tmp_path, "keys", "create", "--name", "a", "--scope", "write", "--json")
    token = json.loads(made.stdout)["key"]
    (tmp_path / "lines").write_text('{"type":"echo","data":{"text":"hi"}}\n')
    with process(tmp_path, server.redis) as gateway:
        words = ("send", "--file", str(tmp_path / "lines"), "--url", gateway.url())
        refused = command(tmp_path, *words)
        assert (1, True) == (refused.returncode, "a key is needed" in refused.stderr)
        sent = command(tmp_path, *words, INVIGIL_KEY=token)
        assert (0, 1) == (sent.returncode, client.xlen(keys.COMMANDS))
    shown = command(tmp_path, "config", INVIGIL_KEY=token).stdout
    assert "INVIGIL_KEY=***" in shown
    assert token not in shown
