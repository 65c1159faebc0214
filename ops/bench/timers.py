"""Bench of the clocks: many deadlines in one second, and what each takes of Redis."""

import asyncio
import math
import time

from ops import keys
from ops.bench.report import Report, Series
from ops.bench.tools import Order, need_room
from ops.bench.watch import Watch
from ops.bench.whole import Whole, body_of, running

#: Seconds for a thousand starts to be on the disk, at the slowest; the deadlines lie behind that.
PER_THOUSAND_S = 4.0
#: Seconds between the last start and the second in which all deadlines are.
CALM_S = 3.0
#: Commands in one body: all of a body's starts have about the same time.
BODY = 500
#: Bytes that an exam takes on the disk, with its log lines and its entries.
ROOM = 30_000


def measure(order: Order) -> Report:
    """
    Let *size* exams end within one second, and see when the last is absent.

    Raises:
        CannotMeasure: There is no room, or the system does not do its work.
    """
    need_room(order.folder, 300 + (ROOM * order.size * order.rounds >> 20))
    return asyncio.run(_measure(order))


async def _measure(order: Order) -> Report:
    last, size = [], []
    async with running(order.folder / "timers") as whole:
        watch = Watch(whole.stack.settings.exams)
        for at in range(1, order.rounds + 1):
            order.tell(f"timers: {order.size:,} starts, round {at} of {order.rounds}")
            since, absent = len(watch.seen), whole.count("absent")
            due, bytes_each = await _start(whole, order.size, at)
            order.tell(f"timers: waiting for their second, round {at} of {order.rounds}")
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await whole.until("absent", absent + order.size)
            last.append(max(when for when, _ in watch.seen[since:]) - due - 1)
            size.append(bytes_each)
    series = [
        Series(name=f"{order.size:,} due in one second: the last", unit="s late", values=last),
        Series(name="a waiting deadline, of Redis", unit="bytes", values=size),
    ]
    return Report(bench="timers", series=series)


async def _start(whole: Whole, count: int, at: int) -> tuple[float, float]:
    """
    Start exams whose deadlines all lie in one second.

    Returns:
        When that second begins, by `time.monotonic`, and bytes of Redis for each deadline.
    """
    before = whole.count("started")
    seconds, microseconds = whole.redis.time()
    offset_s = time.monotonic() - (seconds + microseconds / 1e6)
    due_s = math.ceil(seconds + CALM_S + PER_THOUSAND_S * max(1, count / 1000))
    for first in range(0, count, BODY):
        seconds, _ = whole.redis.time()
        duration = due_s - seconds  # whole seconds: each ends in the second that begins with it
        starts = (
            ("exam.start", {"pk": f"t{at}{number:06}", "duration": duration})
            for number in range(first, min(first + BODY, count))
        )
        await whole.send(body_of(starts))
    await whole.until("started", before + count)
    bytes_each = int(whole.redis.memory_usage(keys.DEADLINES, samples=0) or 0) / count
    return due_s + offset_s, bytes_each
