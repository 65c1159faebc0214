"""Live events over HTTP: from now on, from an id on, for many, and for those who do not keep up."""

import asyncio
import contextlib
import gc
import json
import socket
import struct
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientResponse, web
from structlog.testing import capture_logs
from support.breakable import Breakable
from support.client import Client
from support.events import Event, Stream, events, listening_to, session
from support.gateway import Http, problem, serving
from support.users import admin, as_gateway
from support.waiting import wait_until

from filestore.store import Store
from ingest import live, past, reader
from ingest.gateway import make_app
from ops import keys
from ops.settings import Settings

#: Seconds for what must come, on a busy machine.
PATIENCE_S = 30
READERS = 1_000


@pytest.fixture
async def http(server: Settings, client: Client, tmp_path: Path) -> AsyncIterator[Http]:
    """A client of a gateway whose Redis is empty."""
    async with serving(server.redis, Store(tmp_path / "exams")) as http:
        yield http


def happen(client: Client, *pks: str, kind: str = "exam.started", **more: Any) -> list[str]:
    """Let things happen to exams; return the events' ids."""
    pipeline = client.pipeline(transaction=False)
    for pk in pks:
        pipeline.xadd(keys.EVENTS, {"type": kind, "data": json.dumps({"pk": pk, **more})})
    return [entry.decode() for entry in pipeline.execute()]


def names(count: int) -> list[str]:
    """Names of so many exams."""
    return [f"exam-{number}" for number in range(count)]


async def take(response: ClientResponse, count: int, stream: Stream | None = None) -> list[Event]:
    """Read so many events."""
    found: list[Event] = []
    async with asyncio.timeout(PATIENCE_S):
        async with contextlib.aclosing(events(response, stream or Stream())) as arriving:
            async for event in arriving:
                found.append(event)
                if len(found) == count:
                    break
    return found


async def all_of(response: ClientResponse, stream: Stream | None = None) -> list[Event]:
    """Read to the end."""
    async with asyncio.timeout(PATIENCE_S):
        return [event async for event in events(response, stream or Stream())]


async def until(response: ClientResponse, stream: Stream, fact: Callable[[], bool]) -> None:
    """Read lines, of which none completes an event, until something is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not fact():
            line = await response.content.readline()
            assert line
            assert not stream.feed(line.decode().removesuffix("\n"))


async def heard(http: Http, client: Client) -> str:
    """Let something happen, and wait until the gateway's readers have heard it."""
    async with listening_to(http.make_url("/events")) as response:
        (entry,) = happen(client, "before")
        await take(response, 1)
    return entry


def after(last_id: str) -> dict[str, str]:
    """Header of a client that comes again."""
    return {"Last-Event-ID": last_id}


async def test_from_now_on(http: Http, client: Client) -> None:
    """Who has an answer hears all that happens then, and nothing from before."""
    await heard(http, client)
    async with listening_to(http.make_url("/events")) as response:
        entries = happen(client, "a", "b", score=7)
        found = await take(response, 2)

    assert response.status == 200
    assert response.content_type == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["traceparent"]
    assert found == [
        Event(entries[0], "exam.started", {"pk": "a", "score": 7}),
        Event(entries[1], "exam.started", {"pk": "b", "score": 7}),
    ]


async def test_opening(http: Http, client: Client) -> None:
    """A client is told when to come again, and with which id if it has seen nothing."""
    last = await heard(http, client)
    stream = Stream()
    async with listening_to(http.make_url("/events")) as response:
        await until(response, stream, lambda: bool(stream.last_id))
    happen(client, "missed")
    async with listening_to(http.make_url("/events"), stream.last_id) as response:
        (found,) = await take(response, 1)

    assert stream.retry == 2000
    assert stream.last_id == last
    assert found.data["pk"] == "missed"


@pytest.mark.parametrize("how", ["header", "parameter"])
async def test_resume(http: Http, client: Client, how: str) -> None:
    """Who comes with an id gets what happened since, however much, and then what happens."""
    pks = names(2 * past.PAGE_COUNT + 10)
    entries = happen(client, *pks)
    query = f"?last_event_id={entries[9]}" if how == "parameter" else ""
    last_id = entries[9] if how == "header" else ""
    async with listening_to(http.make_url(f"/events{query}"), last_id) as response:
        stream = Stream()
        found = await take(response, len(pks) - 10, stream)
        entries += happen(client, "now")
        found += await take(response, 1, stream)

    assert [event.id for event in found] == entries[10:]


async def test_resume_while_it_goes_on(http: Http, client: Client) -> None:
    """Between what is read and what is heard nothing is lost and nothing comes twice."""
    first = happen(client, *names(700))

    async def go_on() -> list[str]:
        added = []
        for _ in range(40):
            added += await asyncio.to_thread(happen, client, *names(25))
        return added

    async def resume(number: int) -> list[str]:
        headers = after(first[number])
        async with other.get(http.make_url("/events"), headers=headers) as response:
            found = await take(response, 1700 - number - 1)
            return [event.id for event in found]

    async with session() as other:
        added, *heard = await asyncio.gather(
            go_on(), *(resume(number) for number in range(0, 60, 4))
        )

    for number, ids in zip(range(0, 60, 4), heard, strict=True):
        assert ids == [*first, *added][number + 1 :]


async def test_from_the_beginning(http: Http, client: Client) -> None:
    """With the id 0 a client gets everything that there ever was, if it is still there."""
    entries = happen(client, *names(3))
    async with listening_to(http.make_url("/events?last_event_id=0")) as response:
        found = await take(response, 3)

    assert [event.id for event in found] == entries


async def test_filters(http: Http, client: Client) -> None:
    """Who names exams and types gets these, of the past and of what happens."""
    (start,) = happen(client, "other")
    happen(client, "a", "b")
    happen(client, "a", "c", kind="exam.pass")
    url = http.make_url("/events?pk=a&pk=b&type=exam.pass&type=exam.fail")
    async with listening_to(url, start) as response:
        stream = Stream()
        found = await take(response, 1, stream)
        happen(client, "a", "b", "c", kind="exam.fail")
        happen(client, "a", kind="exam.absent")
        happen(client, "b", kind="exam.pass")
        found += await take(response, 3, stream)

    assert [(event.data["pk"], event.type) for event in found] == [
        ("a", "exam.pass"),
        ("a", "exam.fail"),
        ("b", "exam.fail"),
        ("b", "exam.pass"),
    ]


@pytest.mark.parametrize("path", ["/events?last_event_id=x", "/events?pk=*", "/events?limit=1"])
async def test_nonsense(http: Http, path: str) -> None:
    """What cannot be meant is a problem, not an endless stream of nothing."""
    assert await problem(await http.get(path)) == (422, "invalid-query")


async def test_malformed_header(http: Http) -> None:
    """A malformed Last-Event-ID is a problem that names the header."""
    response = await http.get("/events", headers=after("yesterday"))

    assert await problem(response) == (422, "invalid-query")
    document = await response.json(content_type=None)
    assert [error["field"] for error in document["errors"]] == ["Last-Event-ID"]


async def test_head(http: Http) -> None:
    """HEAD is answered, and ends."""
    response = await http.head("/events")

    assert (response.status, response.content_type) == (200, "text/event-stream")


async def test_trimmed(http: Http, client: Client) -> None:
    """An id that was trimmed away is told first, with what was asked for and where it goes on."""
    entries = happen(client, *names(10))
    client.xtrim(keys.EVENTS, minid=entries[5], approximate=False)
    async with listening_to(http.make_url("/events"), entries[2]) as response:
        gap, *found = await take(response, 6)

    assert gap.type == "gap"
    assert (gap.data["asked"], gap.data["resumes"]) == (entries[2], entries[5])
    assert [event.id for event in found] == entries[5:]


async def test_nothing_left(http: Http, client: Client, readers: Any) -> None:
    """Where nothing is left but the last id, a client that has seen it misses nothing."""
    entries = happen(client, *names(3))
    client.xtrim(keys.EVENTS, maxlen=0, approximate=False)
    async with listening_to(http.make_url("/events"), entries[2]) as response:
        await listening(next(readers), 1)
        happen(client, "now")
        (found,) = await take(response, 1)

    assert found.data["pk"] == "now"


async def test_made_up(http: Http, client: Client) -> None:
    """An id that nothing has yet had is told as a gap, once: the client gets a better one."""
    (last,) = happen(client, "a")
    asked = f"{2**63}-0"
    stream = Stream(last_id=asked)
    async with listening_to(http.make_url("/events"), asked) as response:
        (gap,) = await take(response, 1, stream)
    happen(client, "b")
    async with listening_to(http.make_url("/events"), stream.last_id) as response:
        (found,) = await take(response, 1, stream)

    assert (gap.type, gap.data["asked"], gap.data["resumes"]) == ("gap", asked, last)
    assert found.data["pk"] == "b"


async def test_heartbeat(http: Http, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """In silence comments come, and take the client's id along past what it did not ask for."""
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)
    (start,) = happen(client, "a")
    stream = Stream()
    url = http.make_url("/events?pk=quiet")
    async with listening_to(url, start) as response:
        entries = happen(client, *names(10))
        await until(response, stream, lambda: stream.last_id == entries[-1])

    assert set(stream.comments) == {"heartbeat"}


async def test_readers_end_with_the_process(
    server: Settings, client: Client, tmp_path: Path
) -> None:
    """When the gateway ends, streams end at once and in order, not after its grace."""
    async with as_gateway(server.redis) as redis:
        app = make_app(Settings(redis_url=server.redis), redis, Store(tmp_path / "exams"))
        runner = web.AppRunner(app, shutdown_timeout=PATIENCE_S)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with listening_to(f"http://127.0.0.1:{port}/events") as response:
            happen(client, "a")
            stream = Stream()
            await take(response, 1, stream)
            async with asyncio.timeout(PATIENCE_S / 2):
                await runner.cleanup()
            rest = await response.read()

    assert rest == b""  # a chunked body that does not end in order is an error
    assert stream.last_id


class SlowReader:
    """A client that asks for events and reads nothing, until it is asked to."""

    def __init__(self, http: Http, query: str = "", headers: str = "") -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect((http.host, http.port))
        self._socket.sendall(f"GET /events{query} HTTP/1.0\r\nHost: x\r\n{headers}\r\n".encode())

    def read(self) -> bytes:
        """Read all there is, to the end."""
        self._socket.settimeout(PATIENCE_S)
        with self._socket:
            return b"".join(iter(lambda: self._socket.recv(1 << 20), b""))

    def vanish(self) -> None:
        """Go away without a word."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


def parsed(text: bytes) -> list[Event]:
    """Read the events of an answer."""
    stream = Stream()
    body = text.partition(b"\r\n\r\n")[2].decode()
    return [event for line in body.split("\n") if (event := stream.feed(line))]


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[reader.Reader]]:
    """Every reader that the gateway of this process makes."""
    made: list[reader.Reader] = []

    class Known(reader.Reader):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(live, "Reader", Known)
    return iter([made])


async def listening(readers: list[reader.Reader], count: int) -> None:
    """Wait until so many readers hear what happens."""
    are_there = lambda: [one._after for one in readers].count(None) == 0 and len(readers) == count  # noqa: E731
    await asyncio.to_thread(wait_until, are_there, saying=f"{count} readers listen")


def is_forgotten(kept: weakref.ref[reader.Reader]) -> bool:
    """Whether nothing holds it any more: a reader is part of cycles, which only gc ends."""
    gc.collect()
    return kept() is None


async def test_slow_reader(http: Http, client: Client, readers: Any) -> None:
    """Who does not keep up is dropped, told why, and misses nothing when it comes again."""
    made = next(readers)
    slow = SlowReader(http)
    await listening(made, 1)
    entries = []
    while not made[0].dropped.done():
        entries += await asyncio.to_thread(happen, client, *names(100), text="x" * 5000)
        await asyncio.sleep(0)

    *found, last = parsed(await asyncio.to_thread(slow.read))
    async with session() as other:
        headers = after(last.data["resume"])
        async with other.get(http.make_url("/events"), headers=headers) as response:
            rest = await take(response, len(entries) - len(found))

    assert last.type == "dropped"
    assert f"{reader.MOST_WAITING} events" in last.data["reason"]
    assert last.data["resume"] == last.id == found[-1].id
    assert [event.id for event in (*found, *rest)] == entries


async def test_reader_that_never_reads(
    http: Http, client: Client, readers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads nothing at all is cut off after a while: nothing is kept for it for ever."""
    monkeypatch.setattr(live, "LAST_WORDS_S", 0.1)
    made = next(readers)
    slow = SlowReader(http)
    await listening(made, 1)
    while not made[0].dropped.done():
        await asyncio.to_thread(happen, client, *names(100), text="x" * 5000)
    kept = weakref.ref(made.pop())
    await asyncio.to_thread(wait_until, lambda: is_forgotten(kept), saying="forgotten")

    found = parsed(await asyncio.to_thread(slow.read))

    assert "dropped" not in [event.type for event in found]


async def test_reader_that_vanishes(http: Http, client: Client, readers: Any) -> None:
    """A client that goes away is forgotten at the next event, and is nobody's failure."""
    made = next(readers)
    gone = SlowReader(http)
    await listening(made, 1)
    kept = weakref.ref(made.pop())
    gone.vanish()

    with capture_logs() as lines:
        async with listening_to(http.make_url("/events")) as response:
            while not is_forgotten(kept):
                happen(client, "a")
                await take(response, 1)

    assert lines == []


async def test_what_nobody_expected(http: Http, client: Client) -> None:
    """An error in the middle of a stream breaks it off, and is in the log: it does not go on."""
    client.set(keys.EVENTS, "not a stream")
    with capture_logs() as lines:
        async with listening_to(http.make_url("/events"), "1-0") as response:
            with pytest.raises(ClientPayloadError):
                await response.read()

    (line,) = [line for line in lines if line["event"] == "request_failed"]
    assert line["detail"].startswith("ResponseError: WRONGTYPE")


def blocked(client: Client) -> int:
    """How many connections wait within XREAD; of one that does not it is what they did last."""
    found = [one for one in client.client_list() if one["cmd"] == "xread"]
    return sum("b" in one["flags"] for one in found)


async def test_a_thousand_readers(http: Http, client: Client, readers: Any) -> None:
    """A thousand readers hear the same, and Redis is read once for all of them."""
    made = next(readers)

    async def listen() -> list[str]:
        async with other.get(http.make_url("/events")) as response:
            return [event.id for event in await take(response, 5)]

    async with session() as other:
        listeners = [asyncio.create_task(listen()) for _ in range(READERS)]
        await listening(made, READERS)
        client.config_resetstat()
        entries = happen(client, *names(5))
        heard = await asyncio.gather(*listeners)
        reads = client.info("commandstats")

    assert heard == [entries] * READERS
    assert reads["cmdstat_xread"]["calls"] <= 10
    assert "cmdstat_xrange" not in reads
    await asyncio.to_thread(wait_until, lambda: blocked(client) == 1, saying="one waits for more")


async def test_resume_without_redis(breakable: Breakable, tmp_path: Path) -> None:
    """Who comes again while Redis is away is kept, and gets all when Redis is back."""
    async with serving(breakable.url, Store(tmp_path / "exams")) as http, session() as other:
        with admin(breakable.url) as client:
            first, _ = happen(client, "a", "b")
            breakable.kill()
            async with other.get(http.make_url("/events"), headers=after(first)) as response:
                stream = Stream()
                await until(response, stream, lambda: bool(stream.comments))
                breakable.start()
                happen(client, "c")
                found = await take(response, 2, stream)

    assert response.status == 200
    assert stream.comments[0].startswith("Redis is away")
    assert [event.data["pk"] for event in found] == ["b", "c"]
