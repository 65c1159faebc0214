"""Heads that are known: such starts are taken unread, and nothing else is taken for one."""

import asyncio
import gc
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from redis import Redis
from support.breakable import Breakable
from support.express import HEAD, UNUSUAL, Door, Line, door, line_to, start, until
from support.gateway import on_stream
from support.keyed import make, revoke
from support.raw_http import parsed as parsed_answer

from ingest import heads as heads_module
from ingest import producer
from ingest.access import Scope
from ingest.connection import reset
from ingest.express_connection import ExpressConnection
from ingest.heads import END, Heads, is_whole
from ops.settings import Settings

#: Requests of a stream in which it is easy to lose one's place; some hold others in their bodies.
GET = b"GET /exams/none HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def parsed() -> Iterator[list[bytes]]:
    """Whatever aiohttp's parser is given."""
    seen: list[bytes] = []
    parse = ExpressConnection._parse

    def noted(self: ExpressConnection, data: bytes) -> None:
        seen.append(data)
        parse(self, data)

    with patch.object(ExpressConnection, "_parse", noted):
        yield seen


async def put_on_its_way(gate: Door, line: Line, breakable: Breakable) -> None:
    """Have exam a started, and b on its way unread, to a Redis that is frozen."""
    await line.ask(start(b'{"pk":"a"}'))
    breakable.freeze()
    line.writer.write(start(b'{"pk":"b"}'))
    await until(lambda: len(gate.taken) == 2)


async def test_known_is_not_read(
    client: Redis, server: Settings, tmp_path: Path, parsed: list[bytes]
) -> None:
    """The second start with a head, on whichever connection, is taken as it came."""
    async with door(server.redis, tmp_path) as gate:
        for number in range(3):
            async with line_to(gate.port) as line:
                for more in range(2):
                    [answer] = await line.ask(start(b'{"pk":"k-%d-%d"}' % (number, more)))
                    assert answer.status == 202

    assert parsed == [start(b'{"pk":"k-0-0"}')]
    assert gate.taken == [True] * 6
    pks = [command.data.pk for command in on_stream(client).values()]  # type: ignore[union-attr]
    assert pks == [f"k-{number}-{more}" for number in range(3) for more in range(2)]


async def test_bad_body(
    client: Redis, server: Settings, tmp_path: Path, parsed: list[bytes]
) -> None:
    """A body that is none is refused as any other, and the connection goes on."""
    async with door(server.redis, tmp_path) as gate, line_to(gate.port) as line:
        answers = []
        for body in (b'{"pk":"a"}', b'{"pk":"b" ', b'{"pk":"c"}', b'{"pk":"d e"}', b'{"pk":"f"}'):
            answers += await line.ask(start(body))

    assert [answer.status for answer in answers] == [202, 400, 202, 422, 202]
    assert [one.data.pk for one in on_stream(client).values()] == ["a", "c", "f"]  # type: ignore[union-attr]


async def test_more_comes_meanwhile(
    breakable: Breakable, tmp_path: Path, parsed: list[bytes]
) -> None:
    """What comes while one is on its way unread is answered behind it, in its order."""
    async with door(breakable.url, tmp_path) as gate, line_to(gate.port) as line:
        await put_on_its_way(gate, line, breakable)
        line.writer.write(start(b'{"pk":"c"}', more=UNUSUAL) + start(b'{"pk":"d"}') * 50)
        await asyncio.sleep(0.05)
        assert len(parsed) == 1
        breakable.thaw()
        answers = [await line.read() for _ in range(52)]

    assert [json.loads(answer.body)["pk"] for answer in answers] == ["b", "c", *["d"] * 50]


async def test_fails(
    breakable: Breakable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parsed: list[bytes]
) -> None:
    """One that fails is read after all, and told of as any other; what follows goes on."""
    monkeypatch.setattr(producer, "ANSWER_LIMIT_S", 0.3)
    async with door(breakable.url, tmp_path) as gate, line_to(gate.port) as line:
        await put_on_its_way(gate, line, breakable)
        line.writer.write(start(b'{"pk":"c"}', more=UNUSUAL))
        quick, slow = await line.read(), await line.read()
        breakable.thaw()
        [after] = await line.ask(start(b'{"pk":"d"}'))

    assert (quick.status, slow.status, after.status) == (503, 503, 202)
    assert quick.body == slow.body
    assert start(b'{"pk":"b"}') in parsed
    assert start(b'{"pk":"d"}') not in parsed


@pytest.mark.parametrize("comes_back", [True, False])
async def test_end(
    breakable: Breakable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, comes_back: bool
) -> None:
    """Who has one on its way when the gateway ends is answered, and then the line is closed."""
    monkeypatch.setattr(producer, "ANSWER_LIMIT_S", 1.0)
    async with door(breakable.url, tmp_path) as gate, line_to(gate.port) as line:
        await put_on_its_way(gate, line, breakable)
        line.writer.write(start(b'{"pk":"c"}'))
        gate.listening.close()
        ending = asyncio.create_task(gate.runner.cleanup())
        await asyncio.sleep(0)
        if comes_back:
            breakable.thaw()
        assert (await line.read()).status == (202 if comes_back else 503)
        assert await line.is_closed()
        breakable.thaw()
        await ending
    assert gate.taken == [True, True]


async def test_client_leaves(breakable: Breakable, tmp_path: Path) -> None:
    """A client that leaves, having sent more, holds up nobody."""
    async with door(breakable.url, tmp_path) as gate, line_to(gate.port) as other:
        async with line_to(gate.port) as line:
            await put_on_its_way(gate, line, breakable)
            line.writer.write(start(b'{"pk":"c"}'))
            line.writer.transport.abort()
            other.writer.write(start(b'{"pk":"d"}'))
            await until(lambda: len(gate.taken) == 3)
            breakable.thaw()
            assert (await other.read()).status == 202
        [last] = await other.ask(start(b'{"pk":"e"}'))
        assert last.status == 202


async def test_client_is_reset(breakable: Breakable, tmp_path: Path) -> None:
    """A client that is cut off with much behind its start leaves no error behind."""
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    async with door(breakable.url, tmp_path) as gate, line_to(gate.port) as other:
        async with line_to(gate.port) as line:
            await put_on_its_way(gate, line, breakable)
            line.writer.write(b"x" * 300_000)
            await asyncio.sleep(0.05)
            reset(cast(asyncio.Transport, line.writer.transport))
            breakable.thaw()
        [last] = await other.ask(start(b'{"pk":"c"}'))
        await until(lambda: len(gate.runner.server.connections) == 1)  # type: ignore[union-attr]
        gc.collect()  # a task's error is told when it is gone

    assert last.status == 202
    assert errors == []


async def test_no_head_is_known(client: Redis, server: Settings, tmp_path: Path) -> None:
    """Empty lines before a head, which a parser skips, are never taken for one."""
    body = b'{"pk":"none"}'
    head = HEAD + b"Content-Length: 200\r\n\r\n"
    async with door(server.redis, tmp_path) as gate:
        async with line_to(gate.port) as line:
            line.writer.write(b"\r\n\r\n" + head + b" " * (200 - len(head)))
            await line.writer.drain()
            await asyncio.sleep(0.05)
            line.writer.write(b" " * (len(head) - len(body)) + body)
            assert (await line.read()).status == 202
        async with line_to(gate.port) as line:
            [answer] = await line.ask(b"\r\n\r\n" + body + b" " * (200 - len(body)))

    assert answer.status == 400
    assert len(on_stream(client)) == 1


async def test_key_is_asked_each_time(client: Redis, server: Settings, tmp_path: Path) -> None:
    """A known head opens nothing that its key does not open now."""
    header = make(tmp_path, Scope.WRITE)
    shown = f"Authorization: {header['Authorization']}\r\n".encode()
    async with door(server.redis, tmp_path) as gate, line_to(gate.port) as line:
        before = [(await line.ask(start(b"{}", more=shown)))[0].status for _ in range(3)]
        revoke(tmp_path, header)
        await gate.look_at_keys()
        [after] = await line.ask(start(b"{}", more=shown))
        [none] = await line.ask(start(b"{}"))

    assert before == [202, 202, 202]
    assert (after.status, none.status) == (401, 401)
    assert len(on_stream(client)) == 3


def misled(ordinary: bytes) -> list[bytes]:
    """Begin with empty lines a request that has as much in its body as an empty head would."""
    head = HEAD + b"Content-Length: %d\r\n\r\n"
    length = len(head % 100) + len(ordinary)
    text = b"\r\n\r\n" + head % length + ordinary
    return [text, ordinary, b" " * (length - 2 * len(ordinary)), b"\r\n\r\n" + b"x" * length]


def stream(chance: random.Random, mark: str) -> list[bytes]:
    """Make requests of all kinds, in pieces: some hold others, or begin where others seem to."""
    made: list[bytes] = []
    for number in range(chance.randint(3, 9)):
        ordinary = start(b'{"pk":"%s-%d"}' % (mark.encode(), number))
        echo = HEAD.replace(b"/exams", b"/echo")
        chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(ordinary)
        padded = start(b'{"pk":"pad-%d"}   ' % number)
        within = [
            [start(ordinary, head=echo)[: -len(ordinary)], ordinary],
            [start(ordinary)[: -len(ordinary)], ordinary],
            [start(ordinary, more=UNUSUAL)[: -len(ordinary)], ordinary],
            [chunked, ordinary, b"\r\n0\r\n\r\n"],
            [ordinary + b"GET /exams/none HTTP/1.1\r\nX: ", ordinary],
            [b"GET /exams/none HTTP/1.1\r\nX: ", ordinary],
            [ordinary + start(ordinary, head=echo)[: -len(ordinary)], ordinary],
            [padded, padded[:-3], b"   "],
            [ordinary[:-4], ordinary[-4:]],
            [b"\r\n" + ordinary],
            misled(ordinary),
            [b"\r\n\r\n" + ordinary, b"\r\n\r\n" + b" " * 200],
            [ordinary + b"\r\n"],
            [start(b"x" + ordinary)],
            [start(b'{"pk":"u-%d"}' % number, more=UNUSUAL)],
            [GET],
            [b"x", ordinary],
        ]
        made += chance.choice([*[[ordinary]] * 25, *within])
    return made


class NothingStays(dict[bytes, Any]):
    """What is put into it is gone."""

    def __setitem__(self, key: bytes, value: Any) -> None:
        """Forget it."""


class Wire(asyncio.Transport):
    """A connection's other end, which keeps what it is sent."""

    def __init__(self, connection: Any) -> None:
        super().__init__()
        self.connection = connection
        self.sent = b""
        self.is_paused = self.is_closed = False

    def write(self, data: Any) -> None:
        """Keep it."""
        self.sent += data

    def pause_reading(self) -> None:
        """Bring nothing more."""
        self.is_paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        """Nothing is ever left."""
        return 0

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.is_closed

    def close(self) -> None:
        """Close, and say so."""
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    abort = close

    def is_idle(self) -> bool:
        """Whether nothing will come of what it has brought so far, and it may bring more."""
        one = self.connection
        waiter = one._waiter
        waits = waiter is not None and not waiter.done() and not (one._messages or one._early)
        return self.is_closed or (waits and not one._is_express)


async def answers_to(gate: Door, pieces: list[bytes]) -> list[object]:
    """What is said to pieces of a stream, each of which arrives by itself: status, and exam."""
    connection: Any = gate.connections()
    wire = Wire(connection)
    connection.connection_made(wire)
    for piece in pieces:
        await until(lambda: not wire.is_paused)
        if wire.is_closed:
            break
        connection.data_received(piece)
        await asyncio.sleep(0)
    await until(lambda: wire.is_idle() or not (connection._is_express or connection._is_busy))
    for _ in range(20):  # a request that has begun and does not end waits for ever
        await asyncio.sleep(0)
        await until(lambda: wire.is_idle() or not (connection._is_express or connection._is_busy))
    wire.close()
    await asyncio.sleep(0)
    said: list[object] = []
    rest = wire.sent
    while rest:
        head, _, rest = rest.partition(END)
        answer = parsed_answer(head, b"")
        length = int(answer.header("Content-Length") or 0)
        body, rest = rest[:length], rest[length:]
        said.append((answer.status, json.loads(body).get("pk") if answer.status == 202 else None))
    return said


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_else_is_taken_for_one(
    client: Redis, server: Settings, tmp_path: Path, seed: int
) -> None:
    """However a stream of requests is cut, it is answered as by a gateway that knows no heads."""
    chance = random.Random(seed)
    found: list[object] = []
    async with (
        door(server.redis, tmp_path / "a") as gate,
        door(server.redis, tmp_path / "b") as careful,
    ):
        find = gate.express.heads.find

        def noted(data: bytes) -> Any:
            found.append(find(data))
            return found[-1]

        gate.express.heads.find = noted  # type: ignore[method-assign]
        careful.express.heads._known = NothingStays()
        for number in range(80):
            made = stream(chance, f"f{number}")
            whole = b"".join(made)
            cuts = sorted(chance.sample(range(1, len(whole)), chance.randint(0, 4)))
            cut = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
            pieces = made if chance.random() < 0.8 else cut

            told = await answers_to(gate, pieces)
            assert told
            assert told == await answers_to(careful, pieces), pieces
    assert sum(one is not None for one in found) > 50


@pytest.mark.parametrize(
    ("data", "is_so"),
    [
        (start(b"{}"), True),
        (start(b"{}") + b"x", False),
        (start(b"{} ")[:-1], False),
        (b"\r\n\r\n" + start(b"{}"), False),
        (start(b"{}").replace(b"localhost\r", b"localhost"), False),
        (start(b"{}", more=b"Upgrade: x\r\nConnection: upgrade\r\n"), False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
    ],
)
async def test_whole(data: bytes, *, is_so: bool) -> None:
    """A request is measured where there is no doubt of how; else it is none."""
    loop = asyncio.get_running_loop()
    parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16)
    readable = data.replace(b"localhost\nC", b"localhost\r\nC")
    [(head, _)], _, _ = parser.feed_data(readable.removesuffix(b"x"))

    assert is_whole(data, head) == is_so


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many heads there are, some are known, and no long one."""
    monkeypatch.setattr(heads_module, "MOST", 3)
    known = Heads()
    for number in range(10):
        data = start(b"{}", more=b"User-Agent: %d\r\n" % number)
        known.learn(data, ())
        assert known.find(data) == ((), b"{}")
        assert known.find(data + b"x") is None
        assert len(known._known) <= 3
    long = start(b"{}", more=b"User-Agent: %s\r\n" % (b"x" * 2_000))
    known.learn(long, ())
    assert known.find(long) is None
