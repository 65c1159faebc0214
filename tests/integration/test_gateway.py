"""The gateway's routes: what goes in over HTTP, and what lies on the stream then."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions
from redis import Redis
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from support.gateway import Http, on_stream, problem, serving
from support.waiting import wait_until

from filestore.exam import transition
from filestore.fact import Fact, Type
from filestore.store import Store
from ingest import verdicts
from ingest.bodies import MAX_BODY_BYTES
from ingest.commands import Echo
from ops import keys, trace
from ops.settings import Settings

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The exams on disk."""
    store = Store(tmp_path / "exams")
    store.prepare()
    return store


@pytest.fixture
async def http(server: Settings, client: Redis, store: Store) -> AsyncIterator[Http]:
    """A client of a gateway whose Redis is empty."""
    async with serving(server.redis, store) as http:
        yield http


def read_all(client: Redis) -> None:
    """Read all entries, as a dispatcher does."""
    with contextlib.suppress(redis.exceptions.ResponseError):
        client.xgroup_create(keys.COMMANDS, keys.GROUP, "0", mkstream=True)
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"})


def save_started(store: Store, pk: str, *, command: str = "c1") -> None:
    """Write the document of an exam that was started."""
    fact = Fact(
        at_ms=1_763_822_000_123,
        entry="1763822000123-0",
        command=command,
        source=None,
        type=Type.START,
        value=120,
    )
    exam = transition(pk, None, [fact]).exam
    assert exam is not None
    store.save(exam)


async def test_start(http: Http, client: Redis) -> None:
    """An exam's start is on the stream under the id that the answer names."""
    response = await http.post("/exams", json={"pk": "math-7", "duration": 5})

    body = await response.json()
    entries = on_stream(client)
    assert (response.status, response.headers["Location"]) == (202, "/exams/math-7")
    assert body["location"] == "/exams/math-7"
    assert [body["entry"]] == list(entries)
    assert entries[body["entry"]].id == body["command_id"]
    assert entries[body["entry"]].data.model_dump() == {"pk": "math-7", "duration": 5}


async def test_start_without_pk(http: Http, client: Redis) -> None:
    """A client that names no exam gets a name, and each client another one."""
    bodies = [await (await http.post("/exams", json={})).json() for _ in range(2)]

    made = [command.data.model_dump()["pk"] for command in on_stream(client).values()]
    assert made == [body["pk"] for body in bodies]
    assert len(set(made)) == 2


async def test_echo(http: Http, client: Redis) -> None:
    """An echo is taken at once; it has no place to look for."""
    response = await http.post("/echo", json={"text": "hello", "delay": 0.5})

    body = await response.json()
    assert (response.status, set(body)) == (202, {"command_id", "entry"})
    assert "Location" not in response.headers
    assert on_stream(client)[body["entry"]].data == Echo(text="hello", delay=0.5)


async def test_result_of_started_exam(http: Http, client: Redis, store: Store) -> None:
    """A result for an exam on disk is on the stream, with the pk of the path."""
    save_started(store, "math-7")

    response = await http.post("/exams/math-7/result", json={"status": "pass"})

    entry = (await response.json())["entry"]
    assert (response.status, response.headers["Location"]) == (202, "/exams/math-7")
    assert on_stream(client)[entry].data.model_dump() == {"pk": "math-7", "status": "pass"}


async def test_result_right_after_start(http: Http, client: Redis) -> None:
    """A result is taken while its start is still on the stream: nobody has to wait for disks."""
    start = await http.post("/exams", json={"pk": "math-7"})
    result = await http.post("/exams/math-7/result", json={"status": "fail"})

    assert [start.status, result.status] == [202, 202]
    assert [one.type for one in on_stream(client).values()] == ["exam.start", "exam.finish"]


async def test_trace_goes_on(http: Http, client: Redis) -> None:
    """A caller's trace goes on: the entry and the answer carry one further step of it."""
    response = await http.post("/exams", json={}, headers={"Traceparent": TRACEPARENT})

    given = trace.parse(TRACEPARENT)
    [command] = on_stream(client).values()
    assert given
    assert command.trace
    assert (202, trace.header(command.trace)) == (response.status, response.headers["traceparent"])
    assert given.trace_id == command.trace.trace_id
    assert given.span_id != command.trace.span_id


@pytest.mark.parametrize("given", [[], [TRACEPARENT[:-1]], ["\xff"], [TRACEPARENT] * 2])
async def test_trace_begins(http: Http, client: Redis, given: list[str]) -> None:
    """Without a trace, and with one that is none, a request begins one of its own, and counts."""
    headers = [("traceparent", value) for value in given]

    for _ in range(2):
        assert 202 == (await http.post("/echo", json={"text": "hi"}, headers=headers)).status

    begun = {command.trace and command.trace.trace_id for command in on_stream(client).values()}
    assert 2 == len(begun - {None, TRACEPARENT.split("-")[1]})


@pytest.mark.parametrize("path", ["/exams", "/none"])
async def test_trace_of_a_refusal(http: Http, path: str) -> None:
    """A request that is refused names its trace as well, in its line and in the answer."""
    with capture_logs(processors=[merge_contextvars]) as lines:
        response = await http.post(path, json=[], headers={"traceparent": TRACEPARENT})

    trace_id = TRACEPARENT.split("-")[1]
    assert [("request_refused", trace_id)] == [(line["event"], line["trace_id"]) for line in lines]
    assert trace_id == response.headers["traceparent"].split("-")[1]


async def test_result_of_unknown_exam(http: Http, client: Redis) -> None:
    """A result for an exam that nobody started is refused at once and goes nowhere."""
    response = await http.post("/exams/math-7/result", json={"status": "pass"})

    assert await problem(response) == (404, "unknown-exam")
    assert not client.exists(keys.COMMANDS)


async def test_result_of_unknown_exam_after_others(http: Http, client: Redis) -> None:
    """The exams of others, all read and done with, do not make an exam known."""
    await http.post("/exams", json={"pk": "other"})
    read_all(client)

    response = await http.post("/exams/math-7/result", json={"status": "pass"})

    assert await problem(response) == (404, "unknown-exam")


@pytest.mark.parametrize("key", [keys.IN_HAND, keys.inbox("math-7")])
async def test_result_while_start_is_placed(http: Http, client: Redis, key: str) -> None:
    """A result is taken while the dispatcher or the worker may have its start in hand."""
    await http.post("/exams", json={"pk": "math-7"})
    read_all(client)
    if key == keys.IN_HAND:
        client.set(key, "1")
    else:
        client.hset(key, "1-0", "letter")

    response = await http.post("/exams/math-7/result", json={"status": "pass"})

    assert response.status == 202


async def test_result_when_lag_is_not_known(http: Http, client: Redis) -> None:
    """Where Redis cannot tell what is unread, the result is taken, and judged later."""
    await http.post("/exams", json={"pk": "other"})
    read_all(client)
    unread = [client.xadd(keys.COMMANDS, {"a": "1"}) for _ in range(3)]
    client.xdel(keys.COMMANDS, unread[1])

    response = await http.post("/exams/math-7/result", json={"status": "pass"})

    assert response.status == 202


async def test_start_reaches_disk_meanwhile(http: Http, client: Redis, store: Store) -> None:
    """A start that leaves Redis for the disk during the search is found there."""
    client.set(keys.IN_HAND, "1")
    search = asyncio.create_task(http.post("/exams/math-7/result", json={"status": "pass"}))
    await asyncio.wait({search}, timeout=0.1)

    save_started(store, "math-7")
    client.delete(keys.IN_HAND)

    assert (await search).status == 202


async def test_exam_as_on_disk(http: Http, store: Store) -> None:
    """An exam is shown byte for byte as its file is; HEAD tells its size."""
    save_started(store, "math-7")

    get = await http.get("/exams/math-7?unknown=query")
    head = await http.head("/exams/math-7")

    expected = store.path("math-7").read_bytes()
    assert (get.status, get.content_type) == (200, "application/json")
    assert expected == await get.read()
    assert (200, str(len(expected)), b"") == (
        head.status,
        head.headers["Content-Length"],
        await head.read(),
    )


async def test_health(http: Http, client: Redis) -> None:
    """The probes tell that the process lives, takes commands, and who will work on them."""
    live = await http.get("/livez")
    idle = await (await http.get("/readyz")).json()
    client.set(keys.LEASE, "token")
    busy = await (await http.get("/readyz")).json()

    assert live.status == 200
    assert (idle["redis"], idle["dispatcher"]) == ("ready", "none")
    assert (busy["redis"], busy["dispatcher"]) == ("ready", "active")


JSON = {"Content-Type": "application/json"}
LATIN = {"Content-Type": "application/json; charset=latin1"}
ODD = {"Content-Type": "application/json; charset=utf\udc80"}
ZIPPED = {**JSON, "Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("asked", "sent", "expected"),
    [
        ("POST /exams", ({}, b""), (400, "empty-body")),
        ("POST /exams", (JSON, b""), (400, "empty-body")),
        ("POST /exams", (JSON, b"{"), (400, "not-json")),
        ("POST /exams", (JSON, b'{"pk":"a","pk":"b"}'), (400, "not-json")),
        ("POST /exams", (JSON, b"\xff"), (400, "not-json")),
        ("POST /echo", (JSON, b"[" * 60_000), (400, "not-json")),
        ("POST /echo", (ZIPPED, b'{"text":"hi"}'), (400, "broken-body")),
        ("POST /exams", ({"Content-Type": "text/plain"}, b"{}"), (415, "unsupported-media-type")),
        ("POST /exams", (ODD, b"{}"), (415, "unsupported-media-type")),
        ("POST /exams", (LATIN, b"{}"), (415, "unsupported-media-type")),
        ("POST /exams", (JSON, b"[]"), (422, "invalid-command")),
        ("POST /exams", (JSON, b'{"pk":"../a"}'), (422, "invalid-command")),
        ("POST /exams", (JSON, b'{"pk":null}'), (422, "invalid-command")),
        ("POST /exams/a/result", (JSON, b'{"status":"absent"}'), (422, "invalid-command")),
        ("POST /exams/a/result", (JSON, b'{"pk":"a"}'), (422, "invalid-command")),
        ("POST /exams/.a/result", (JSON, b'{"status":"pass"}'), (422, "invalid-command")),
        ("POST /echo", (JSON, b'{"text":"\\ud800"}'), (422, "invalid-command")),
        ("POST /echo", (JSON, b" " * (MAX_BODY_BYTES + 1)), (413, "too-large")),
        ("GET /exams/a", ({}, b""), (404, "unknown-exam")),
        ("GET /exams/a%2Fb", ({}, b""), (422, "invalid-command")),
        ("GET /exams/%7Ba%7D", ({}, b""), (422, "invalid-command")),
        ("POST /exams/%7Ba%7D/result", (JSON, b'{"status":"pass"}'), (422, "invalid-command")),
        ("GET /commands/%7Ba%7D%0A", ({}, b""), (404, "unknown-command")),
        ("GET /nowhere", ({}, b""), (404, "no-such-page")),
        ("GET /exams/", ({}, b""), (404, "no-such-page")),
        ("PUT /exams", ({}, b""), (405, "method-not-allowed")),
        ("DELETE /exams/a", ({}, b""), (405, "method-not-allowed")),
    ],
)
async def test_refusals(
    http: Http, client: Redis, asked: str, sent: tuple[dict[str, str], bytes], expected: Any
) -> None:
    """What cannot be done is refused with a problem that says why, and nothing is sent on."""
    method, path = asked.split()
    headers, body = sent

    response = await http.request(
        method, path, headers=headers, data=body or None, skip_auto_headers={"Content-Type"}
    )

    assert expected == await problem(response)
    assert not client.exists(keys.COMMANDS)


async def test_refusal_names_each_field(http: Http) -> None:
    """A client learns of every wrong field at once, the path's own among them."""
    start = await http.post("/exams", json={"pk": "../a", "duration": "5", "more": 1})
    result = await http.post("/exams/.a/result", json={"status": "pass"})
    twice = await http.post("/exams/a/result", json={"status": "pass", "pk": "a"})

    named = [
        {error["field"] for error in (await response.json(content_type=None))["errors"]}
        for response in (start, result, twice)
    ]
    assert [{"pk", "duration", "more"}, {"pk"}, {"pk"}] == named


async def test_wrong_method_is_told_the_right_ones(http: Http) -> None:
    """A client that uses the wrong method is told which ones there are."""
    response = await http.put("/livez")

    assert {"GET", "HEAD"} == set(response.headers["Allow"].split(","))


async def test_utf8_by_any_name(http: Http) -> None:
    """A client may say that its JSON is UTF-8, in capitals too."""
    headers = {"Content-Type": "Application/JSON; charset=UTF-8"}

    response = await http.post("/echo", data='{"text":"é"}'.encode(), headers=headers)

    assert response.status == 202


async def test_hundred_at_once(http: Http, client: Redis) -> None:
    """Concurrent requests make one entry each, under ids of their own, and none gets another's."""
    posts = [http.post("/exams", json={"pk": f"exam-{number}"}) for number in range(100)]

    bodies = [await response.json() for response in await asyncio.gather(*posts)]

    answered = {body["entry"]: (body["pk"], body["command_id"]) for body in bodies}
    entries = on_stream(client)
    stored = {entry: (one.data.model_dump()["pk"], one.id) for entry, one in entries.items()}
    assert len({command_id for _, command_id in stored.values()}) == 100
    assert answered == stored


async def test_unexpected_error(http: Http, client: Redis) -> None:
    """An error that nobody foresaw is a 500 that shows nothing of the inside."""
    client.set(keys.COMMANDS, "not a stream")

    response = await http.post("/echo", json={"text": "hi"})

    assert await problem(response) == (500, "internal")
    assert "WRONGTYPE" not in await response.text()
    assert "Retry-After" not in response.headers


async def wait_for(http: Http, pk: str, seconds: int) -> tuple[int, dict[str, Any]]:
    """Start an exam and prefer to wait for it."""
    prefer = {"Prefer": f"wait={seconds}"}
    response = await http.post("/exams", json={"pk": pk}, headers=prefer)
    return response.status, await response.json()


async def test_wait_is_over(http: Http) -> None:
    """When nobody has applied the command by then, the answer is that it is taken."""
    status, body = await wait_for(http, "math-7", 1)

    assert (202, "math-7") == (status, body["pk"])


async def test_event_ends_the_wait(
    http: Http, client: Redis, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event about the command ends the wait, not the next look at the disk."""
    monkeypatch.setattr(verdicts, "LOOK_S", 3600)
    waiting = asyncio.create_task(wait_for(http, "math-7", 30))
    is_sent = partial(client.exists, keys.COMMANDS)
    await asyncio.to_thread(wait_until, is_sent, saying="the command is on the stream")
    [(entry, command)] = on_stream(client).items()
    save_started(store, "math-7", command=str(command.id))
    data = {"pk": "math-7", "command": command.id, "entry": entry}
    client.xadd(keys.EVENTS, {"type": "exam.started", "data": json.dumps(data)})

    status, body = await waiting

    assert (201, "started") == (status, body["status"])


async def test_many_at_once(http: Http) -> None:
    """However many come at once, they take turns on the connections to Redis: none is refused."""
    asked = [http.post("/exams/math-7/result", json={"status": "pass"}) for _ in range(300)]

    answers = await asyncio.gather(*asked)

    assert [404] * 300 == [answer.status for answer in answers]
