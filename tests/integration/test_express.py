"""Ordinary starts: taken without a request for each, and answered as all others are."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.breakable import Breakable
from support.express import HEAD, UNUSUAL, door, line_to, start, until
from support.gateway import Process, on_stream, process
from support.keyed import id_of, make, revoke
from support.metrics import value
from support.raw_http import RawAnswer, ask
from support.users import admin
from support.waiting import wait_until

from ingest import producer
from ingest.access import Scope
from ingest.express_connection import ExpressConnection
from ops.settings import Settings

#: Lines that clients add to the head of an ordinary start.
LINES = {
    "wrk": b"",
    "curl": b"User-Agent: curl/8\r\nAccept: */*\r\n",
    "browser": b"accept: */*\r\naccept-encoding: gzip, br\r\naccept-language: de\r\n",
    "keeps": b"connection: keep-alive\r\n",
}
BODIES = [b"{}", b'{"pk":"math-%d"}', b' { "pk" : "p.%d" ,\n"duration": 5}', b'{"duration":null}']
#: Headers whose values are another one's for each request.
OWN = {"traceparent", "date", "location", "content-length"}


def port_of(gateway: Process) -> int:
    """Where a process listens."""
    return int(gateway.url().rpartition(":")[2])


def unlike(answer: RawAnswer) -> list[tuple[str, str]]:
    """Headers, in their order, without what each request has for itself."""
    return [(name, "" if name.lower() in OWN else text) for name, text in answer.headers]


@pytest.mark.parametrize("more", LINES.values(), ids=LINES)
async def test_taken(client: Redis, server: Settings, tmp_path: Path, more: bytes) -> None:
    """What clients usually send is taken so, whatever of it is there; and is on the stream."""
    async with door(server.redis, tmp_path) as gate, line_to(gate.port) as line:
        for number, body in enumerate(BODIES):
            text = body.replace(b"%d", b"%d" % number)
            [answer] = await line.ask(start(text, more=more))
            said = json.loads(answer.body)

            assert (answer.status, gate.taken[-1:]) == (202, [True])
            command = on_stream(client)[said["entry"]]
            assert (command.id, command.data.pk) == (said["command_id"], said["pk"])  # type: ignore[union-attr]
            assert said["pk"] == json.loads(text).get("pk", said["pk"])
            assert command.trace
            assert command.trace.trace_id in answer.header("traceparent")


@pytest.mark.parametrize("settings", [{}, {"INVIGIL_CORS_ORIGINS": "https://exams.example.org"}])
async def test_told_from_no_other(
    breakable: Breakable, tmp_path: Path, settings: dict[str, str]
) -> None:
    """Answer, entry, line and count of an ordinary start are those of an unusual one."""
    with process(tmp_path, breakable.url, **settings) as gateway, admin(breakable.url) as client:
        async with line_to(port_of(gateway)) as line:
            [quick] = await line.ask(start(b'{"pk":"a"}'))
            [slow] = await line.ask(start(b'{"pk":"b"}', more=UNUSUAL))
        entries = list(on_stream(client).values())
        metrics = ask(gateway.url(), b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").body.decode()
        wait_until(lambda: len(gateway.lines("accepted")) == 2, saying="both lines")
        lines = gateway.lines("accepted")

    assert quick.status == slow.status == 202
    assert unlike(quick) == unlike(slow)
    assert [list(json.loads(one.body)) for one in (quick, slow)] == [
        list(json.loads(slow.body))
    ] * 2
    assert len(quick.body) == len(slow.body)
    assert [one.data.pk for one in entries] == ["a", "b"]  # type: ignore[union-attr]
    assert set(lines[0]) == set(lines[1])
    for answer, written in zip((quick, slow), lines, strict=True):
        said = json.loads(answer.body)
        assert {name: written[name] for name in ("command_id", "pk", "entry")} == {
            name: said[name] for name in ("command_id", "pk", "entry")
        }
        assert written["trace_id"] in answer.header("traceparent")
    assert 2 == value(metrics, "invigil_commands_accepted_total", type="exam.start")
    name, labels = "invigil_http_request_duration_seconds_count", {"method": "POST"}
    assert 2 == value(metrics, name, route="/exams", status="2xx", wait="false", **labels)


ODD_HEADS = {
    "method": HEAD.replace(b"POST", b"PUT"),
    "path": HEAD.replace(b"/exams", b"/exams?a=1"),
    "another": HEAD.replace(b"/exams", b"/echo"),
    "version": HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "closing": HEAD + b"Connection: close\r\n",
    "key": HEAD + b"Idempotency-Key: k1\r\n",
    "trace": HEAD + b"traceparent: 00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01\r\n",
    "prefers": HEAD + b"Prefer: wait=0\r\n",
    "page": HEAD + b"Origin: https://exams.example.org\r\n",
    "type": HEAD.replace(b"application/json", b"application/json; charset=utf-8"),
    "no json": HEAD.replace(b"application/json", b"text/plain"),
}


@pytest.mark.parametrize("head", ODD_HEADS.values(), ids=ODD_HEADS)
async def test_odd_head(client: Redis, server: Settings, tmp_path: Path, head: bytes) -> None:
    """A head with anything unusual is left to the application, with its body."""
    async with door(server.redis, tmp_path) as gate, line_to(gate.port) as line:
        [answer] = await line.ask(start(b'{"pk":"a"}', head=head))

    assert not any(gate.taken)
    is_taken = answer.status == 202
    assert is_taken or answer.header("Content-Type") == "application/problem+json"
    assert is_taken == (b"text/plain" not in head and b"PUT" not in head and b"echo" not in head)
    assert is_taken == bool(on_stream(client))


ODD_BODIES = {
    "empty": (b"", 400),
    "no json": (b"{", 400),
    "no object": (b'["pk"]', 422),
    "twice": (b'{"pk":"a","pk":"b"}', 400),
    "twice, spelled": (b'{"pk":"a","p\\u006b":"b"}', 400),
    "spelled": (b'{"p\\u006b":"a"}', 202),
    "no name": (b'{"pk":"a b"}', 422),
    "number": (b'{"pk":7}', 422),
    "long": (b'{"duration":86400000}', 422),
    "point": (b'{"duration":5.0}', 422),
    "unknown": (b'{"pk":"a","x":{"y":"z"}}', 422),
    "no utf-8": (b'{"pk":"\xff"}', 400),
    "deep": (b'{"pk":' + b"[" * 60_000, 400),
    "large": (b'{"pk":"a"' + b" " * 66_000 + b"}", 413),
}


@pytest.mark.parametrize(("body", "status"), ODD_BODIES.values(), ids=ODD_BODIES)
async def test_odd_body(
    client: Redis, server: Settings, tmp_path: Path, body: bytes, status: int
) -> None:
    """What is no ordinary body is left to the application, which sees all of it."""
    async with door(server.redis, tmp_path) as gate, line_to(gate.port) as line:
        [answer] = await line.ask(start(body))

    assert (answer.status, any(gate.taken)) == (status, False)
    assert (status == 202) == bool(on_stream(client))


async def test_in_turn(client: Redis, server: Settings, tmp_path: Path) -> None:
    """Requests that come at once on one connection are answered in their order."""
    kinds = [b"", UNUSUAL, b"", b"", UNUSUAL, UNUSUAL, b""] * 12  # more than aiohttp queues
    async with door(server.redis, tmp_path) as gate, line_to(gate.port) as line:
        requests = [start(b'{"pk":"t-%d"}' % n, more=more) for n, more in enumerate(kinds)]
        answers = await line.ask(*requests)
        [last] = await line.ask(start(b'{"pk":"last"}'))

    pks = [f"t-{number}" for number in range(len(kinds))]
    assert [json.loads(answer.body)["pk"] for answer in answers] == pks
    assert [one.data.pk for one in on_stream(client).values()] == [*pks, "last"]  # type: ignore[union-attr]
    assert gate.taken == [True, True]  # behind an unusual one aiohttp takes all that it has queued
    assert last.status == 202


@pytest.mark.parametrize("pieces", [1, 3])
async def test_next_comes_before_the_handler_waits(
    client: Redis,
    server: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pieces: int,
) -> None:
    """A client that asks again at once, behind an unusual request, is on the express way."""
    handle = ExpressConnection._handle_request
    rest = start(b'{"pk":"next"}')
    size = len(rest) // pieces + 1
    parts = [rest[at : at + size] for at in range(0, len(rest), size)]

    async def then_the_next(connection: ExpressConnection, *args: Any) -> Any:
        done = await handle(connection, *args)
        for part in parts:  # in the turn of the loop in which aiohttp's handler is to wake up
            asyncio.get_running_loop().call_soon(connection.data_received, part)
        return done

    monkeypatch.setattr(ExpressConnection, "_handle_request", then_the_next)
    async with door(server.redis, tmp_path) as gate, line_to(gate.port) as line:
        [first] = await line.ask(start(b'{"pk":"first"}', more=UNUSUAL))
        second = await line.read()

    assert (first.status, second.status) == (202, 202)
    assert [one.data.pk for one in on_stream(client).values()] == ["first", "next"]  # type: ignore[union-attr]
    assert gate.taken == [True]


async def test_in_pieces(client: Redis, server: Settings, tmp_path: Path) -> None:
    """A request that comes byte by byte is answered once."""
    async with door(server.redis, tmp_path) as gate, line_to(gate.port) as line:
        for at in range(2):
            for byte in start(b'{"pk":"p-%d"}' % at):
                line.writer.write(bytes([byte]))
                await line.writer.drain()
                await asyncio.sleep(0)
            assert (await line.read()).status == 202

    assert [one.data.pk for one in on_stream(client).values()] == ["p-0", "p-1"]  # type: ignore[union-attr]


async def test_without_an_answer(
    breakable: Breakable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Redis it is answered as any other; the connection, and the next start, go on."""
    monkeypatch.setattr(producer, "ANSWER_LIMIT_S", 0.3)
    async with door(breakable.url, tmp_path) as gate, line_to(gate.port) as line:
        [before] = await line.ask(start(b"{}"))
        breakable.freeze()
        quick, slow = await line.ask(start(b"{}"), start(b"{}", more=UNUSUAL))
        breakable.thaw()
        [after] = await line.ask(start(b"{}"))

    assert [before.status, quick.status, slow.status, after.status] == [202, 503, 503, 202]
    assert unlike(quick) == unlike(slow)
    assert quick.body == slow.body
    assert gate.taken == [True, True, True]


async def test_failure_is_told_as_any_other(breakable: Breakable, tmp_path: Path) -> None:
    """Line, trace and time of a start that got no answer are those of an unusual one."""
    with process(tmp_path, breakable.url) as gateway:
        async with line_to(port_of(gateway)) as line:
            await line.ask(start(b"{}"))
            breakable.freeze()
            quick, slow = await line.ask(start(b'{"pk":"q"}'), start(b'{"pk":"s"}', more=UNUSUAL))
            breakable.thaw()
        lines = gateway.lines("request_failed")
        metrics = ask(gateway.url(), b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").body.decode()
        with admin(breakable.url) as client:
            wait_until(lambda: len(on_stream(client)) >= 2, saying="Redis has done it")
            [_, sent, *_] = on_stream(client).values()

    assert (quick.status, slow.status) == (503, 503)
    assert [set(one) for one in lines] == [set(lines[1])] * 2
    for answer, said, pk in zip((quick, slow), lines, ("q", "s"), strict=True):
        assert said["pk"] == pk
        assert said["trace_id"] in answer.header("traceparent")
    assert sent.trace
    assert (sent.id, sent.trace.trace_id) == (lines[0]["command_id"], lines[0]["trace_id"])
    name = "invigil_http_request_duration_seconds_sum"
    took_s = value(metrics, name, method="POST", route="/exams", status="5xx", wait="false")
    assert took_s is not None
    assert took_s > 5.5  # two times three seconds, but for a timer's grain


async def test_failure_is_not_refused(
    breakable: Breakable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What was let in and sent is never said to be not taken: neither a rate nor a key that is none
    any more is asked again; and the next request hears nothing of it.
    """
    monkeypatch.setattr(producer, "ANSWER_LIMIT_S", 0.3)
    header, other = make(tmp_path, Scope.WRITE), make(tmp_path, Scope.WRITE)
    shown, others = (f"Authorization: {h['Authorization']}\r\n".encode() for h in (header, other))
    async with (
        door(breakable.url, tmp_path, key_rate="1/hour") as gate,
        line_to(gate.port) as line,
    ):
        breakable.freeze()
        line.writer.write(start(b"{}", more=shown))
        await until(lambda: gate.taken == [True])
        revoke(tmp_path, header)
        await gate.look_at_keys()
        failed = await line.read()
        breakable.thaw()
        [after] = await line.ask(start(b"{}", more=others + UNUSUAL))

    assert (failed.status, after.status) == (503, 202)
    assert "not known" in json.loads(failed.body)["detail"]


async def test_refused_counts_once(client: Redis, server: Settings, tmp_path: Path) -> None:
    """A start that there is too much to do for takes nothing of a key's rate twice."""
    header = make(tmp_path, Scope.WRITE)
    more = f"Authorization: {header['Authorization']}\r\n".encode()
    for _ in range(3):
        client.xadd("invigil:commands", {"type": "x"})
    async with (
        door(server.redis, tmp_path, key_rate="4/hour", max_waiting=1) as gate,
        line_to(gate.port) as line,
    ):
        await until(gate.is_full)
        answers = [(await line.ask(start(b"{}", more=more)))[0] for _ in range(5)]

    assert [answer.status for answer in answers] == [503, 503, 503, 503, 429]


async def test_closed_while_more_waits(
    breakable: Breakable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many starts sent at once none is taken that is not answered, when the gateway ends."""
    async with door(breakable.url, tmp_path) as gate, line_to(gate.port) as line:
        line.writer.write(b"".join(start(b"{}") for _ in range(40)))
        await until(lambda: len(gate.taken) >= 16)
        gate.listening.close()
        ending = asyncio.create_task(gate.runner.cleanup())
        answered = 0
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while (await line.read()).status == 202:
                answered += 1
        await ending
    with admin(breakable.url) as client:
        assert answered == len(on_stream(client)) == len(gate.taken)


async def test_error_of_redis(client: Redis, server: Settings, tmp_path: Path) -> None:
    """An answer of Redis' that nobody expected is answered as it is for any other."""
    client.set("invigil:commands", "no stream")
    async with door(server.redis, tmp_path) as gate, line_to(gate.port) as line:
        quick, slow = await line.ask(start(b"{}"), start(b"{}", more=UNUSUAL))

    assert (quick.status, slow.status, gate.taken) == (500, 500, [True])
    assert (unlike(quick), quick.body) == (unlike(slow), slow.body)


async def test_client_leaves(breakable: Breakable, tmp_path: Path) -> None:
    """A client that does not wait for its answer holds up nobody, and its start is taken."""
    async with door(breakable.url, tmp_path) as gate:
        breakable.freeze()
        async with line_to(gate.port) as line, line_to(gate.port) as other:
            line.writer.write(start(b'{"pk":"gone"}'))
            other.writer.write(start(b'{"pk":"here"}'))
            await until(lambda: len(gate.taken) == 2)
            line.writer.transport.abort()
            await until(lambda: len(gate.runner.server.connections) == 1)  # type: ignore[union-attr]
            breakable.thaw()
            assert (await other.read()).status == 202
    with admin(breakable.url) as client:
        assert {one.data.pk for one in on_stream(client).values()} == {"gone", "here"}  # type: ignore[union-attr]


@pytest.mark.parametrize("comes_back", [True, False])
async def test_end(
    breakable: Breakable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, comes_back: bool
) -> None:
    """Who has a start on its way when the gateway ends is answered, and then the line is closed."""
    monkeypatch.setattr(producer, "ANSWER_LIMIT_S", 1.0)
    async with (
        door(breakable.url, tmp_path) as gate,
        line_to(gate.port) as line,
        line_to(gate.port) as idle,
    ):
        breakable.freeze()
        line.writer.write(start(b"{}") + start(b"{}"))
        await until(lambda: gate.taken == [True])
        gate.listening.close()
        ending = asyncio.create_task(gate.runner.cleanup())
        assert await idle.is_closed()
        if comes_back:
            breakable.thaw()
        assert (await line.read()).status == (202 if comes_back else 503)
        assert await line.is_closed()
        breakable.thaw()
        await ending
    assert gate.taken == [True]


async def test_keys(client: Redis, server: Settings, tmp_path: Path) -> None:
    """Whoever shows a key that may write is taken; whoever may not is refused as ever."""
    writes, reads, gone = (
        make(tmp_path, scope) for scope in (Scope.WRITE, Scope.READ, Scope.ADMIN)
    )
    revoke(tmp_path, gone)
    found: list[tuple[int, bool]] = []
    async with door(server.redis, tmp_path) as gate, line_to(gate.port) as line:
        for shown in (writes, reads, gone, {}, {"Authorization": "Bearer inv_0_x"}):
            more = b"".join(f"{name}: {text}\r\n".encode() for name, text in shown.items())
            [answer] = await line.ask(start(b"{}", more=more))
            found.append((answer.status, gate.taken[-1]))
        twice = f"Authorization: {writes['Authorization']}\r\n".encode() * 2
        [answer] = await line.ask(start(b"{}", more=twice))
        found.append((answer.status, gate.taken[-1]))

    refused = [(403, False), (401, False), (401, False), (401, False), (401, False)]
    assert found == [(202, True), *refused]
    assert len(on_stream(client)) == 1


async def test_line_names_the_key(breakable: Breakable, tmp_path: Path) -> None:
    """The line about an ordinary start says whose key it came with."""
    header = make(tmp_path, Scope.WRITE)
    more = f"authorization: {header['Authorization']}\r\n".encode()
    with process(tmp_path, breakable.url) as gateway:
        async with line_to(port_of(gateway)) as line:
            answers = await line.ask(start(b"{}", more=more), start(b"{}", more=more + UNUSUAL))
        wait_until(lambda: len(gateway.lines("accepted")) == 2, saying="both lines")
        lines = gateway.lines("accepted")

    assert [answer.status for answer in answers] == [202, 202]
    assert [one["key"] for one in lines] == [id_of(header)] * 2
    assert set(lines[0]) == set(lines[1])


async def test_rate(client: Redis, server: Settings, tmp_path: Path) -> None:
    """A key's rate counts ordinary starts and others alike."""
    header = make(tmp_path, Scope.WRITE)
    more = f"Authorization: {header['Authorization']}\r\n".encode()
    async with (
        door(server.redis, tmp_path, key_rate="3/hour") as gate,
        line_to(gate.port) as line,
    ):
        sent = [more, more + UNUSUAL, more, more, more + UNUSUAL]
        answers = [(await line.ask(start(b"{}", more=one)))[0] for one in sent]

    assert [answer.status for answer in answers] == [202, 202, 202, 429, 429]
    assert int(answers[3].header("Retry-After")) > 0
    assert len(on_stream(client)) == 3


async def test_overload(client: Redis, server: Settings, tmp_path: Path) -> None:
    """Where there is too much to do, an ordinary start is turned away as any other."""
    async with (
        door(server.redis, tmp_path, max_waiting=5) as gate,
        line_to(gate.port) as line,
    ):
        answers = [(await line.ask(start(b"{}")))[0] for _ in range(12)]

    assert {answer.status for answer in answers} == {202, 503}
    assert answers[-1].status == 503
    assert gate.taken[-1] is False
    assert len(on_stream(client)) == sum(answer.status == 202 for answer in answers)
