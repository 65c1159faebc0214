"""Many commands in one body: each is taken or answered by its line, whatever the others are."""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from select import PIPE_BUF
from typing import Any

import pytest
from aiohttp import ClientResponse
from redis import Redis
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from support.gateway import Http, on_stream, problem, serving
from support.waiting import wait_until

from filestore.store import Store
from ingest.answering import Unavailable
from ingest.lines import CHUNK, MAX_LINE_BYTES, NDJSON
from ingest.replies import Replies
from ops import keys, trace
from ops.hygiene import render
from ops.settings import Settings

TYPE = {"Content-Type": NDJSON}
ECHO = b'{"type":"echo","data":{"text":"hi"}}'


@pytest.fixture
async def http(server: Settings, client: Redis, tmp_path: Path) -> AsyncIterator[Http]:
    """A client of a gateway whose Redis is empty."""
    async with serving(server.redis, Store(tmp_path / "exams")) as http:
        yield http


def start(pk: str, *, duration: int | None = None, **more: object) -> bytes:
    """A line that starts an exam."""
    data = {"pk": pk} if duration is None else {"pk": pk, "duration": duration}
    return json.dumps({"type": "exam.start", "data": data, **more}).encode()


def finish(pk: str, **more: object) -> bytes:
    """A line that reports a result."""
    data = {"pk": pk, "status": "pass"}
    return json.dumps({"type": "exam.finish", "data": data, **more}).encode()


async def answers(response: ClientResponse) -> list[dict[str, Any]]:
    """The lines of an answer that is as it should be."""
    text = await response.text()
    assert (response.status, response.content_type) == (200, NDJSON)
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


async def send(http: Http, body: bytes) -> list[dict[str, Any]]:
    """Send a body, and give the answer's lines."""
    return await answers(await http.post("/commands", data=body, headers=TYPE))


def problems(said: list[dict[str, Any]]) -> dict[int, tuple[int, str]]:
    """Line -> status and name of its problem."""
    return {
        line["line"]: (
            line["problem"]["status"],
            line["problem"]["type"].removeprefix("urn:invigil:problem:"),
        )
        for line in said
        if "problem" in line
    }


async def test_one_answer_per_command(http: Http, client: Redis) -> None:
    """Each command is on the stream as it was sent, and is answered in its place."""
    body = b"\n".join(
        [
            start("math-7", id="mine", source="me"),
            b'{"type":"exam.finish","data":{"pk":"math-7","status":"pass"},"time":"ignored"}',
            ECHO,
            b"",
        ]
    )

    said = await send(http, body)

    entries = on_stream(client)
    assert [line.pop("line") for line in said] == [1, 2, 3]
    assert [line["entry"] for line in said] == list(entries)
    assert [line["command_id"] for line in said] == [one.id for one in entries.values()]
    assert [line.get("pk") for line in said] == ["math-7", "math-7", None]
    assert [one.type for one in entries.values()] == ["exam.start", "exam.finish", "echo"]
    assert (said[0]["command_id"], entries[said[0]["entry"]].source) == ("mine", "me")


async def test_more_than_a_chunk(http: Http, client: Redis) -> None:
    """However many there are, all are on the stream in the body's order, under ids of their own."""
    pks = [f"exam-{number}" for number in range(2 * CHUNK + 1)]

    said = await send(http, b"\n".join(map(start, pks)))

    entries = on_stream(client)
    assert [line["line"] for line in said] == [*range(1, len(pks) + 1)]
    assert [line["pk"] for line in said] == pks
    assert [line["entry"] for line in said] == list(entries)
    assert len({line["command_id"] for line in said}) == len(pks)


@pytest.mark.parametrize("pk", ["e{}", "e{}".ljust(62, "x")])
async def test_alike(http: Http, client: Redis, pk: str) -> None:
    """Commands that are alike go together, in their order; few log lines name all of them."""
    starts = [start(pk.format(number), duration=number) for number in range(1, 151)]
    results = [finish(pk.format(number), id=f"mine-{number}") for number in range(1, 151)]

    with capture_logs(processors=[merge_contextvars]) as logged:
        said = await send(http, b"\n".join([*starts, ECHO, *results]))
        await send(http, b"\n".join(starts))
        await send(http, b"\n".join(results))

    entries = on_stream(client)
    asked = [*starts, ECHO, *results, *starts, *results]
    assert len(said) == 301
    assert [json.loads(line)["data"] for line in asked] == [
        one.data.model_dump(exclude_none=True) for one in entries.values()
    ]
    assert [one.id for one in [*entries.values()][-150:]] == [f"mine-{n}" for n in range(1, 151)]
    assert named(logged) == [
        (one.id, entry, one.type, getattr(one.data, "pk", None)) for entry, one in entries.items()
    ]
    together = [one for one in logged if one["event"] == "bulk_accepted"]
    assert {one["type"] for one in together} == {"exam.start", "exam.finish"}
    assert 1 < len(together) < 30
    assert max(len(render(one)) for one in together) < PIPE_BUF - 300


def named(logged: Sequence[Mapping[str, Any]]) -> list[tuple[object, ...]]:
    """What the log names of each command taken, in its order: id, entry, type and exam."""
    found: list[tuple[object, ...]] = []
    for one in logged:
        if one["event"] == "accepted":
            found.append((one["command_id"], one["entry"], one["type"], one.get("pk")))
        if one["event"] == "bulk_accepted":
            lists = zip(one["command_ids"], one["entries"], one["pks"], strict=True)
            found += [(name, entry, one["type"], pk) for name, entry, pk in lists]
    return found


async def test_alike_answers(http: Http, client: Redis) -> None:
    """Each of them is answered in its place, by what it was put onto the stream as."""
    odd = start("odd", source="me")
    body = [*map(start, map(str, range(100))), b"", odd, *map(start, map(str, range(100, 2_300)))]

    said = await send(http, b"\n".join(body))

    assert [one["line"] for one in said] == [*range(1, 101), *range(102, 2_303)]
    assert [one["pk"] for one in said] == [
        *map(str, range(100)),
        "odd",
        *map(str, range(100, 2300)),
    ]
    entries = on_stream(client)
    assert [(one["entry"], one["command_id"], one["pk"]) for one in said] == [
        (entry, one.id, getattr(one.data, "pk", None)) for entry, one in entries.items()
    ]
    assert {one.trace and one.trace.trace_id for one in entries.values()} == {
        one.trace and one.trace.trace_id for one in [*entries.values()][:1]
    }


async def test_alike_as_far_as_there_is_room(http: Http, client: Redis) -> None:
    """Where the stream takes no more amid them, those before are taken and the others are not."""
    client.xadd(keys.COMMANDS, {"type": "x"}, id=f"{2**64 - 1}-{2**64 - 1 - 30}")

    with capture_logs(processors=[merge_contextvars]) as logged:
        said = await send(http, b"\n".join(map(start, map(str, range(2_000)))))

    assert [one["line"] for one in said] == [*range(1, 2_001)]
    assert [one["pk"] for one in said[:30]] == [*map(str, range(30))]
    assert problems(said) == dict.fromkeys(range(31, 2_001), (503, "unavailable"))
    assert client.xlen(keys.COMMANDS) == 31
    assert [entry for _, entry, *_ in named(logged)] == [one["entry"] for one in said[:30]]
    [read] = [one for one in logged if one["event"] == "bulk_read"]
    assert (read["taken"], read["refused"]) == (30, 1_970)


async def test_no_room_for_answers(
    http: Http, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the answers cannot be kept, what Redis has by then stands in the log, and no more."""

    def full(*_: object) -> None:
        raise Unavailable("no space left", advice="look into the log")

    monkeypatch.setattr(Replies, "keep", full)
    with capture_logs(processors=[merge_contextvars]) as logged:
        body = b"\n".join(map(start, map(str, range(5 * CHUNK))))
        response = await http.post("/commands", data=body, headers=TYPE)
        assert await problem(response) == (503, "unavailable")

    taken = [*on_stream(client)]
    assert CHUNK <= len(taken) < 5 * CHUNK
    assert [entry for _, entry, *_ in named(logged)] == taken
    [read] = [one for one in logged if one["event"] == "bulk_read"]
    assert read["taken"] == len(taken)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"type":"echo","data":{"text":"a"},"data":{}}', (400, "not-json")),
        (b'{"type":"echo","data":{"text":"a","text":"b"}}', (400, "not-json")),
        (b'{"type":"echo","data":{"text":"a","delay":NaN}}', (400, "not-json")),
        (b'{"type":"echo","data":{"text":"\xff"}}', (400, "not-json")),
        (b'{"type":"echo","da', (400, "not-json")),
        (ECHO + ECHO, (400, "not-json")),
        (b"[" * 70_000, (400, "not-json")),
        (b"[" * 100_000, (413, "too-large")),
        (ECHO + b" " * MAX_LINE_BYTES, (413, "too-large")),
        (b"[]", (422, "invalid-command")),
        (b"{}", (422, "invalid-command")),
        (b'{"type":7,"data":{"text":"a"}}', (422, "invalid-command")),
        (b'{"type":"other","data":{"text":"a"}}', (422, "invalid-command")),
        (b'{"type":"echo"}', (422, "invalid-command")),
        (b'{"type":"echo","data":"{}"}', (422, "invalid-command")),
        (b'{"type":"echo","data":{"text":"\\ud800"}}', (422, "invalid-command")),
        (b'{"type":"exam.start","data":{"pk":"../a"}}', (422, "invalid-command")),
        (b'{"type":"exam.start","data":{}}', (422, "invalid-command")),
        (b'{"type":"exam.expire","data":{"pk":"a","deadline":1}}', (422, "invalid-command")),
        (b'{"type":"echo","data":{"text":"a"},"id":""}', (422, "invalid-command")),
        (b'{"type":"echo","data":{"text":"a"},"source":"\\u0007"}', (422, "invalid-command")),
    ],
)
@pytest.mark.parametrize("place", ["between", "last"])
async def test_bad_line(
    http: Http, client: Redis, line: bytes, expected: tuple[int, str], place: str
) -> None:
    """A line that is no command is answered by its number, and those around it are taken."""
    body = [ECHO, b"", line, ECHO, b""] if place == "between" else [ECHO, ECHO, line]

    said = await send(http, b"\n".join(body))

    assert problems(said) == {3: expected}
    assert [one["entry"] for one in said if "entry" in one] == list(on_stream(client))
    assert client.xlen(keys.COMMANDS) == 2


async def test_blank_lines_count(http: Http) -> None:
    """A line is named as an editor names it: blank ones have a number and no answer."""
    said = await send(http, b"\n \r\n" + ECHO + b"\r\n\n\n" + ECHO)

    assert [line["line"] for line in said] == [3, 6]
    assert not problems(said)


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, ECHO, (415, "unsupported-media-type")),
        ({"Content-Type": "application/json"}, ECHO, (415, "unsupported-media-type")),
        ({"Content-Type": f"{NDJSON}; charset=latin1"}, ECHO, (415, "unsupported-media-type")),
        (TYPE, b"", (400, "empty-body")),
        (TYPE, b"\n \n", (400, "empty-body")),
        ({**TYPE, "Content-Encoding": "gzip"}, ECHO, (400, "broken-body")),
    ],
)
async def test_refused_whole(
    http: Http, client: Redis, headers: dict[str, str], body: bytes, expected: tuple[int, str]
) -> None:
    """A body that is none of ours is refused as a whole, and nothing is sent on."""
    skip = {"Content-Type"}
    response = await http.post("/commands", data=body, headers=headers, skip_auto_headers=skip)

    assert await problem(response) == expected
    assert not client.exists(keys.COMMANDS)


async def test_utf8_and_gzip(http: Http, client: Redis) -> None:
    """A body may say that it is UTF-8, and may be compressed."""
    headers = {"Content-Type": f"{NDJSON}; charset=UTF-8", "Content-Encoding": "gzip"}
    body = gzip.compress('{"type":"echo","data":{"text":"é"}}\n'.encode() * 3)

    said = await answers(await http.post("/commands", data=body, headers=headers))

    assert [line["line"] for line in said] == [1, 2, 3]
    assert client.xlen(keys.COMMANDS) == 3


async def test_body_that_breaks(http: Http, client: Redis) -> None:
    """What was whole before a body broke is taken; the answer says at which line that was."""
    whole = gzip.compress(start("a") + b"\n" + start("b") + b"\n" + start("c"), 0)
    sent = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield whole[:-8]  # without its checksum and length
        await sent.wait()
        yield b"\0" * 8

    post = http.post("/commands", data=body(), headers={**TYPE, "Content-Encoding": "gzip"})
    under_way = asyncio.create_task(asyncio.wait_for(post, 20))
    await asyncio.to_thread(wait_until, lambda: client.xlen(keys.COMMANDS), saying="taken")
    sent.set()
    said = await answers(await under_way)

    assert [line.get("pk") for line in said] == ["a", "b", None]
    assert problems(said) == {3: (400, "broken-body")}
    assert client.xlen(keys.COMMANDS) == 2


async def test_taken_as_they_come(http: Http, client: Redis) -> None:
    """A command is on the stream before its sender has finished: it need not fill a chunk."""
    goes_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield ECHO + b"\n"
        await goes_on.wait()
        yield ECHO

    post = asyncio.create_task(http.post("/commands", data=body(), headers=TYPE))
    await asyncio.to_thread(wait_until, lambda: client.xlen(keys.COMMANDS) == 1, saying="one")
    assert not post.done()
    goes_on.set()

    assert [line["line"] for line in await answers(await post)] == [1, 2]


async def test_client_that_does_not_read(http: Http) -> None:
    """A client that reads nothing until it has sent all does not hang, however much that is."""
    count = 40_000
    line = b"0" + b" " * 999 + b"\n"  # no command; more bytes than all buffers on the way take

    def talk() -> int:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(60)
            connection.connect((http.host, http.port))
            head = f"POST /commands HTTP/1.1\r\nHost: a\r\nContent-Type: {NDJSON}\r\n"
            more = f"Connection: close\r\nContent-Length: {len(line) * count}\r\n\r\n"
            connection.sendall((head + more).encode())
            connection.sendall(line * count)
            with connection.makefile("rb") as answer:
                return sum(b'"problem"' in one for one in answer)

    assert await asyncio.to_thread(talk) == count


async def test_each_has_its_own_line(http: Http) -> None:
    """The log has a line for each command taken, with its own ids and nobody else's."""
    with capture_logs(processors=[merge_contextvars]) as lines:
        said = await send(http, start("a") + b"\n" + ECHO + b"\n1\n" + start("b"))

    taken = [one for one in said if "entry" in one]
    accepted = [one for one in lines if one["event"] == "accepted"]
    [read] = [one for one in lines if one["event"] == "bulk_read"]
    ids = ("command_id", "entry", "pk")
    assert [[one.get(name) for name in ids] for one in accepted] == [
        [one.get(name) for name in ids] for one in taken
    ]
    assert [one["type"] for one in accepted] == ["exam.start", "echo", "exam.start"]
    assert (read["taken"], read["refused"], read["detail"][:8]) == (3, 1, "line 3: ")
    assert not {"command_id", "pk", "type"} & set(read)


async def test_traces(http: Http, client: Redis) -> None:
    """A line's own trace goes on, without one the request's; a malformed one counts for none."""
    theirs = [f"00-{digit * 32}-{digit * 16}-01" for digit in "12"]
    lines = [start("a"), start("b", traceparent=theirs[1]), start("c", traceparent=7)]

    with capture_logs(processors=[merge_contextvars]) as logged:
        response = await http.post(
            "/commands", data=b"\n".join(lines), headers={**TYPE, trace.NAME: theirs[0]}
        )
        assert len(await answers(response)) == 3

    expected = ["1" * 32, "2" * 32, "1" * 32]
    accepted = [one["trace_id"] for one in logged if one["event"] == "accepted"]
    carried = [one.trace and one.trace.trace_id for one in on_stream(client).values()]
    assert expected == accepted == carried
    assert response.headers[trace.NAME].split("-")[1] == "1" * 32
