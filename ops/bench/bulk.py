"""Bench of one large body: commands taken by `POST /commands`, beside a pipeline of XADDs."""

import time
import urllib.request

from redis import Redis

from ingest.commands import Command, ExamStart, encode
from ops import keys
from ops.bench import door
from ops.bench.report import Report, Series
from ops.bench.tools import CannotMeasure, Order, need_room

#: Entries in one pipeline of the limit.
BATCH = 1_000
#: Bytes that a command takes, here and there.
ROOM = 2_500


def measure(order: Order) -> Report:
    """
    Send *size* commands in one body, and as entries to the same server, by turns.

    Raises:
        CannotMeasure: There is no room, or a command was not taken.
    """
    need_room(order.folder, 200 + (ROOM * order.size * (order.rounds + 1) >> 20))
    bulk, limit = [], []
    with door.gateway(order.folder / "bulk") as (url, client):
        for at in range(order.rounds + 1):
            order.tell(f"bulk: round {at} of {order.rounds}")
            limit.append(_add(client, order.size, at))
            bulk.append(_send(url, order.size, at))
            door.empty(client)
    series = [
        Series(
            name="XADD, a thousand in a pipeline",
            unit="commands/s",
            values=limit[1:],  # the first round warms up
            is_limit=True,
        ),
        Series(name="POST /commands", unit="commands/s", values=bulk[1:]),
    ]
    ratios = {"POST /commands, of a pipeline": series[1].median / series[0].median}
    return Report(bench="bulk", series=series, ratios=ratios)


def _add(client: Redis, count: int, at: int) -> float:
    """Put entries onto the stream; return how many a second."""
    began = time.perf_counter()
    for first in range(0, count, BATCH):
        pipeline = client.pipeline(transaction=False)
        for number in range(first, min(first + BATCH, count)):
            name = f"limit-{at}-{number}"
            fields = encode(Command(data=ExamStart(pk=name), id=name))
            pipeline.xadd(keys.COMMANDS, dict(fields.items()))
        pipeline.execute()
    return count / (time.perf_counter() - began)


def _send(url: str, count: int, at: int) -> float:
    """Send one body; return how many commands of it were taken a second."""
    body = "".join(
        f'{{"type":"exam.start","data":{{"pk":"bulk-{at}-{number}"}}}}\n' for number in range(count)
    ).encode()
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{url}/commands", data=body, headers={"Content-Type": "application/x-ndjson"}
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        said = answer.read()
    took_s = time.perf_counter() - began
    taken = said.count(b'"entry":')
    if taken != count:
        raise CannotMeasure(f"{count - taken:,} of {count:,} commands were not taken")
    return count / took_s
