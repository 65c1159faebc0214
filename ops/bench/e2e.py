"""Bench from end to end: from a request until the document lies in the file system, synced."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeAlias

from ops.bench.report import Report, Series
from ops.bench.tools import CannotMeasure, Order, need_room, quantile, write_file
from ops.bench.watch import Watch
from ops.bench.whole import Whole, body_of, running

#: Requests a second while it is asked how long one takes, and for how many seconds a round.
PACE, PACED_S = 50, 4
#: Starts that are waited for, one after the other.
WAITED = 200
#: Seconds until what was sent at that pace must have been seen.
SEEN_LIMIT_S = 30.0
#: Threads of the limit.
THREADS = 16
#: Bytes that an exam takes on the disk, with its log lines and its entries.
ROOM = 20_000

#: Path, body, and the exam that it is about.
Request: TypeAlias = tuple[str, dict[str, str], str]


def measure(order: Order) -> Report:
    """
    Start *size* exams at once, and others at a pace; beside files that are written and renamed.

    Raises:
        CannotMeasure: There is no room, or the system does not do its work.
    """
    need_room(order.folder, 300 + (ROOM * order.size * (order.rounds + 1) >> 20))
    return asyncio.run(_measure(order))


async def _measure(order: Order) -> Report:
    names = ("start p50", "start p99", "result p50", "result p99", "waited", "records", "limit")
    found: dict[str, list[float]] = {name: [] for name in names}
    async with running(order.folder / "e2e") as whole:
        watch = Watch(whole.stack.settings.exams)
        for at in range(order.rounds + 1):
            order.tell(f"e2e: files alone, round {at} of {order.rounds}")
            now = {
                "limit": await asyncio.to_thread(_files, order.folder / f"files-{at}", order.size)
            }
            order.tell(f"e2e: {PACE} a second, round {at} of {order.rounds}")
            now |= await _paced(whole, watch, at)
            order.tell(f"e2e: one after the other, round {at} of {order.rounds}")
            now["waited"] = await _waited(whole, at)
            order.tell(f"e2e: {order.size:,} at once, round {at} of {order.rounds}")
            now["records"] = await _at_once(whole, order.size, at)
            if at:  # the first one warms up, and does not count
                for name, value in now.items():
                    found[name].append(value)
    return _report(found)


async def _at_once(whole: Whole, count: int, at: int) -> float:
    """Start many exams in one body; return how many a second were on the disk and in the books."""
    before = whole.count("started")
    body = body_of(("exam.start", {"pk": f"once-{at}-{number}"}) for number in range(count))
    began = time.monotonic()
    sending = asyncio.create_task(whole.send(body))
    ended = await whole.until("started", before + count)
    await sending
    return count / (ended - began)


async def _paced(whole: Whole, watch: Watch, at: int) -> dict[str, float]:
    """Start exams at a pace, and then report their results; return how long each took, in ms."""
    pks = [f"pace-{at}-{number}" for number in range(PACE * PACED_S)]
    start = await _timed(whole, watch, [("/exams", {"pk": pk}, pk) for pk in pks])
    result = await _timed(
        whole, watch, [(f"/exams/{pk}/result", {"status": "pass"}, pk) for pk in pks]
    )
    return {
        "start p50": quantile(start, 0.5),
        "start p99": quantile(start, 0.99),
        "result p50": quantile(result, 0.5),
        "result p99": quantile(result, 0.99),
    }


async def _waited(whole: Whole, at: int) -> float:
    """Start exams one by one, each answered when it is on the disk; return the median, in ms."""
    took = []
    for number in range(WAITED):
        began = time.monotonic()
        await whole.post("/exams", {"pk": f"wait-{at}-{number}"}, status=201, Prefer="wait=5")
        took.append(1000 * (time.monotonic() - began))
    return quantile(took, 0.5)


async def _timed(whole: Whole, watch: Watch, requests: list[Request]) -> list[float]:
    """Send requests at the pace; return after how long each one's document was seen, in ms."""
    since = len(watch.seen)
    sent = await asyncio.to_thread(_send, whole.stack.settings.port, requests)
    await asyncio.to_thread(watch.wait, since + len(sent), limit_s=SEEN_LIMIT_S)
    seen = watch.times(since=since)
    return [1000 * (seen[pk] - at) for pk, at in sent.items()]


def _send(port: int, requests: list[Request]) -> dict[str, float]:
    """
    Send them over one connection, each when it is due; return when, by exam.

    With a client that does little itself: what it does counts for the one that is measured.

    Raises:
        CannotMeasure: One was not taken.
    """
    sent: dict[str, float] = {}
    with contextlib.closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        for number, (path, body, pk) in enumerate(requests):
            time.sleep(max(0.0, began + number / PACE - time.monotonic()))
            text = json.dumps(body)
            sent[pk] = time.monotonic()
            connection.request("POST", path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != HTTPStatus.ACCEPTED:
                raise CannotMeasure(f"{path}: {answer.status} {said.decode()}")
    return sent


def _files(folder: Path, count: int) -> float:
    """Write, sync and rename files, many at once; return how many a second."""
    folder.mkdir()
    paths = [folder / f"{number}.json" for number in range(count)]
    began = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write_file, paths))
    return count / (time.monotonic() - began)


def _report(found: dict[str, list[float]]) -> Report:
    def times() -> Iterator[Series]:
        for what in ("start", "result"):
            for share in ("p50", "p99"):
                name = f"{what} to its document, {PACE}/s, {share}"
                yield Series(name=name, unit="ms", values=found[f"{what} {share}"])

    waited = Series(name="Prefer: wait=5, one by one, p50", unit="ms", values=found["waited"])
    limit = Series(
        name=f"files alone: write, fsync, rename, {THREADS} threads",
        unit="records/s",
        values=found["limit"],
        is_limit=True,
    )
    ours = Series(name="starts to documents", unit="records/s", values=found["records"])
    ratios = {"starts to documents, of files alone": ours.median / limit.median}
    return Report(bench="e2e", series=[limit, ours, *times(), waited], ratios=ratios)
