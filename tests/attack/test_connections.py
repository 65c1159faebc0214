"""Connections to the gateway: which are closed, which are turned away, and how all of them end."""

import asyncio
import contextlib
import json
import signal
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from redis import Redis
from support.authority import Authority, variables
from support.breakable import Breakable
from support.gateway import Process, on_stream, post, process
from support.stalling import GOOD, KINDS, Stalling
from support.users import admin
from support.waiting import wait_until

from ingest.connections import LAST_TAKE_S, SPARE, Connections
from ingest.lines import NDJSON

#: Clients of a kind.
MANY = 200
#: Kinds of which there are so many; of the others there are a few, encrypted and not.
WORST = ("silent", "half a head", "half a body", "reads no list")
#: Nothing works these commands off.
NO_LIMIT = {"INVIGIL_MAX_WAIT": "86400"}


@pytest.fixture
def client(breakable: Breakable) -> Iterator[Redis]:
    """The test's own view of Redis."""
    with admin(breakable.url) as client:
        yield client


@pytest.fixture
def gateway(breakable: Breakable, tmp_path: Path) -> Iterator[Process]:
    """A gateway as it is without settings."""
    with process(tmp_path, breakable.url, **NO_LIMIT) as gateway:
        gateway.url()
        yield gateway


@contextlib.contextmanager
def stalling(url: str, kinds: list[str], *args: Any) -> Iterator[list[Stalling]]:
    """Clients of these kinds, which go away in the end."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(Stalling(url, one, *args))) for one in kinds]


def open_kinds(clients: list[Stalling], kinds: list[str]) -> Counter[str]:
    """Of each kind how many are still connected."""
    return Counter(
        kind for client, kind in zip(clients, kinds, strict=True) if not client.is_closed()
    )


def files(gateway: Process) -> int:
    """Files that the gateway has open; 0 where no system tells."""
    folder = Path(f"/proc/{gateway.process.pid}/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def ask(url: str, request: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """Send what no HTTP library would; give status line, headers and body of the answer."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), 30) as raw:
        raw.sendall(request)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := raw.recv(65_536):
                answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    return line, dict(one.decode().split(": ", 1) for one in headers), body


async def until(fact: Callable[[], object], saying: str) -> None:
    """Wait for a fact beside what goes on in the loop."""
    await asyncio.to_thread(wait_until, fact, saying=saying)


async def test_stalled_are_closed(gateway: Process) -> None:
    """
    Hundreds that stall are closed and leave no file open; whoever has a reason to wait stays.

    Without this each of them kept its connection: aiohttp waits an hour for a head, and for ever
    for a body or for who does not read.
    """
    url, kinds = gateway.url(), [*GOOD, *(kind for kind in WORST for _ in range(MANY))]
    before = files(gateway)
    with stalling(url, kinds) as clients:
        status, _ = await post(f"{url}/echo", {"text": "hi"})
        good = Counter(GOOD)
        await until(lambda: open_kinds(clients, kinds) == good, "only those that may are left")

        assert status == 202
        bodies = [one.got for one, kind in zip(clients, kinds, strict=True) if kind == WORST[2]]
        assert all(b"HTTP/1.1 408 " in one and b":too-slow" in one for one in bodies)
        assert all(b"Connection: close" in one for one in bodies)
        assert files(gateway) <= before + len(GOOD) + 1  # one of Redis, for who waits
    await until(lambda: files(gateway) <= before + 1, "no file is left open")
    first = gateway.lines("connections_cut")[0]  # the next one comes ten seconds later
    assert 0 < first["heads"] + first["answers"] <= len(kinds)


@pytest.mark.parametrize("is_tls", [False, True], ids=["clear", "tls"])
async def test_trickling_is_stalling(breakable: Breakable, tmp_path: Path, *, is_tls: bool) -> None:
    """A byte now and then keeps no connection open, encrypted or not; nor does half a handshake."""
    authority = Authority(tmp_path)
    env = NO_LIMIT | (variables(authority.issue()) if is_tls else {})
    context = authority.trusting() if is_tls else None
    kinds = [kind for kind in KINDS if kind not in GOOD for _ in range(3)]
    with process(tmp_path / "data", breakable.url, **env) as gateway:
        url = gateway.url()
        with (
            stalling(url, kinds, context) as clients,
            contextlib.closing(Stalling(url, "silent")) as silent,
        ):
            await until(lambda: not open_kinds(clients, kinds), "all are closed")
            await until(silent.is_closed, "so is who does not agree upon TLS")

        assert url.startswith("https://" if is_tls else "http://")
        lines = [one.got for one, kind in zip(clients, kinds, strict=True) if "line" in kind]
        assert [b":too-slow" in one for one in lines if one] == [True] * 6
        assert not gateway.lines("request_failed")


async def test_lines_before_the_stall(gateway: Process, client: Redis) -> None:
    """What was whole of a body that stalls is taken and answered; the rest is said not to be."""
    line = b'{"type":"echo","data":{"text":"hi"}}\n'

    async def body() -> AsyncIterator[bytes]:
        yield line * 2 + line[:9]
        await asyncio.Event().wait()

    patient = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=patient) as http:
        head = {"Content-Type": NDJSON}
        async with http.post(f"{gateway.url()}/commands", data=body(), headers=head) as said:
            answers = [json.loads(line) async for line in said.content]

    assert ["entry" in one for one in answers] == [True, True, False]
    assert (answers[2]["line"], answers[2]["problem"]["status"]) == (3, 408)
    assert len(on_stream(client)) == 2


async def test_too_many(breakable: Breakable, tmp_path: Path) -> None:
    """Beyond the most there may be, probes are answered, others told to come again, then nobody."""
    with process(tmp_path, breakable.url, INVIGIL_MAX_CONNECTIONS="3") as gateway:
        url = gateway.url()
        with stalling(url, ["listens"] * 3) as those_within:
            await until(
                lambda: all(not one.is_closed() and one.got for one in those_within), "full"
            )
            line, headers, body = ask(url, b"GET /exams HTTP/1.1\r\nHost: a\r\n\r\n")
            probe, probed, _ = ask(url, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            with stalling(url, ["silent"] * SPARE), stalling(url, ["listens"] * 5) as others:
                await until(lambda: all(one.is_closed() for one in others), "they are closed")
            assert not any(one.is_closed() for one in those_within)
        await until(lambda: gateway.lines("connections_free"), "there is room")
        again, _, _ = ask(url, b"GET /livez HTTP/1.0\r\n\r\n")

    assert line == b"HTTP/1.1 503 Service Unavailable"
    assert (headers["Retry-After"], headers["Connection"]) == ("2", "close")
    assert json.loads(body)["type"] == "urn:invigil:problem:overloaded"
    assert (probe, probed["Connection"]) == (b"HTTP/1.1 200 OK", "close")
    assert not any(one.got for one in others)
    assert again == b"HTTP/1.0 200 OK"
    assert [one["most"] for one in gateway.lines("connections_full")] == [3]
    assert gateway.lines("connections_free")[0]["turned_away"] == 2 + SPARE + 5
    assert not gateway.lines("request_failed")


def test_what_is_no_request(gateway: Process) -> None:
    """It is answered with a problem like any other, and what it held is repeated nowhere."""
    hello = b"GET /livez HTTP/1.1\r\n"
    for request, status, name in (
        (b"GET /exams?cursor=" + b"secret" * 1_500, 431, "head-too-large"),
        (hello + b"X-Token: " + b"secret" * 1_500, 431, "head-too-large"),
        (hello + b"A: secret\r\n" * 80, 431, "head-too-large"),
        (hello + b"Authorization: secret\x00\r\n\r\n", 400, "not-http"),
        (b"\x16\x03\x01\x02\x00secret\r\n\r\n", 400, "not-http"),
    ):
        line, headers, body = ask(gateway.url(), request)

        assert int(line.split()[1]) == json.loads(body)["status"] == status
        assert json.loads(body)["type"] == f"urn:invigil:problem:{name}"
        assert headers["Content-Type"] == "application/problem+json"
        assert (headers["Server"], headers["X-Content-Type-Options"]) == ("invigil", "nosniff")
        said = gateway.lines("request_refused")[-1]
        assert said["trace_id"] in headers["traceparent"]
        assert "secret" not in str(said) + str(headers) + body.decode()


async def test_ends_whoever_stalls(gateway: Process, client: Redis, breakable: Breakable) -> None:
    """Asked to end among hundreds that stall, it answers what is under way, and ends in time."""
    url = gateway.url()
    kinds = [kind for kind in (*WORST, "listens") for _ in range(MANY // 4)]
    with stalling(url, kinds):
        breakable.freeze()
        under_way = asyncio.create_task(post(f"{url}/echo", {"text": "hi"}))
        await asyncio.wait({under_way}, timeout=0.5)

        gateway.process.send_signal(signal.SIGTERM)
        await until(lambda: gateway.lines("part_stopping"), "it stops")
        breakable.thaw()
        status, body = await under_way

        assert await asyncio.to_thread(gateway.end) == (0, "")  # which waits for 10 s
    assert (status, [body["entry"]]) == (202, list(on_stream(client)))
    assert gateway.lines("part_stopped")


async def test_hurry() -> None:
    """Once the gateway ends, an answer that nobody takes is given up after a second."""

    async def answer_much(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=bytes(50_000_000))

    loop, server = asyncio.get_running_loop(), web.Server(answer_much)
    connections = Connections(server, most=1)
    listening = await loop.create_server(connections, "127.0.0.1", 0)
    url = "http://{}:{}".format(*listening.sockets[0].getsockname())
    with contextlib.closing(await asyncio.to_thread(Stalling, url, "reads no list")) as client:
        is_stuck = lambda: any(one.writing_paused for one in server.connections)  # noqa: E731
        await until(is_stuck, "its client takes no more")
        connections.look(now := loop.time())
        connections.look(now + LAST_TAKE_S)
        assert server.connections[0].connected
        connections.hurry()
        connections.look(now + LAST_TAKE_S)
        await until(client.is_closed, "it was given up")
        await until(lambda: not server.connections, "it is gone")
    listening.close()


async def test_serves_on_while_it_drains(breakable: Breakable, tmp_path: Path) -> None:
    """With time to drain it is not ready, and serves; a second signal ends that."""
    with process(tmp_path, breakable.url, INVIGIL_DRAIN="300") as gateway:
        url = gateway.url()
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{url}/readyz") as before:
                assert before.status == 200
            gateway.process.send_signal(signal.SIGTERM)
            await until(lambda: gateway.lines("part_stopping"), "it was asked to end")
            async with http.get(f"{url}/readyz") as ready, http.get(f"{url}/livez") as alive:
                assert (ready.status, alive.status) == (503, 200)
                assert "about to end" in (await ready.json(content_type=None))["detail"]
        status, _ = await post(f"{url}/echo", {"text": "hi"})  # over a connection of its own
        gateway.process.send_signal(signal.SIGTERM)

        assert status == 202
        assert await asyncio.to_thread(gateway.end) == (0, "")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_tls(breakable: Breakable, tmp_path: Path) -> None:
    """TLS 1.2 is the oldest that is spoken; over it browsers learn to come encrypted only."""
    authority = Authority(tmp_path)
    with process(tmp_path / "data", breakable.url, **variables(authority.issue())) as gateway:
        url, context = gateway.url(), authority.trusting()
        async with aiohttp.ClientSession() as http, http.get(f"{url}/livez", ssl=context) as said:
            assert said.headers["Strict-Transport-Security"].startswith("max-age=")
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(Stalling, url, "silent", context)


async def test_renewed_certificate(breakable: Breakable, tmp_path: Path) -> None:
    """A renewed certificate is taken up by the gateway that runs, and half of one is not."""
    old, new = Authority(tmp_path), Authority(tmp_path)
    (tmp_path / "new").mkdir()
    files = old.issue()
    renewed = [path.replace(tmp_path / "new" / path.name) for path in new.issue("renewed")]
    with process(tmp_path / "data", breakable.url, **variables(files)) as gateway:
        url = gateway.url()
        renewed[0].replace(files[0])
        await until(lambda: gateway.lines("unavailable"), "the old key does not fit")
        renewed[1].replace(files[1])
        await until(lambda: gateway.lines("available"), "both are taken up")

        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{url}/livez", ssl=new.trusting()) as said,
        ):
            assert said.status == 200
    [line] = gateway.lines("unavailable")
    assert line["what"] == "certificate"
    assert line["error"].endswith("gateway.key does not fit the certificate")
    assert len(gateway.lines("certificate_loaded")) == 2
