"""Bench of the door: starts taken over HTTP, beside an aiohttp that does nothing."""

from pathlib import Path

from ops.bench import door
from ops.bench.report import Report, Series
from ops.bench.tools import Load, Order, need_room, need_wrk, wrk
from ops.preflight import free_port

#: Connections that ask at once.
CONNECTIONS = 32
SCRIPT = Path(__file__).with_name("start.lua")
#: Megabytes for a second of it: what Redis and the log keep.
ROOM_PER_S = 40


def measure(order: Order) -> Report:
    """
    Ask both as fast as they answer, by turns, for *size* seconds a round.

    Raises:
        CannotMeasure: There is no `wrk`, or no room.
    """
    need_wrk()
    need_room(order.folder, 200 + ROOM_PER_S * order.size * (order.rounds + 1))
    found: dict[str, list[Load]] = {"bare": [], "ours": []}
    port = free_port("127.0.0.1")
    bare = f"http://127.0.0.1:{port}"
    with (
        door.serving(("ops.bench.bare", str(port)), bare),
        door.gateway(order.folder / "ingest") as (url, client),
    ):
        for at in range(order.rounds + 1):
            for name, where in (("bare", bare), ("ours", url)):
                order.tell(f"ingest: {name}, round {at} of {order.rounds}")
                seconds = order.size if at else 1  # the first one warms up, and does not count
                load = wrk(
                    where,
                    seconds=seconds,
                    connections=CONNECTIONS,
                    script=SCRIPT,
                    mark=f"r{at}",
                )
                if at:
                    found[name].append(load)
            door.empty(client)
    return _report(found)


def _report(found: dict[str, list[Load]]) -> Report:
    series = [
        Series(
            name="aiohttp on uvloop that does nothing",
            unit="requests/s",
            values=[load.per_s for load in found["bare"]],
            is_limit=True,
        ),
        Series(
            name="POST /exams",
            unit="requests/s",
            values=[load.per_s for load in found["ours"]],
        ),
        Series(name="p50", unit="ms", values=[load.p50_ms for load in found["ours"]]),
        Series(name="p99", unit="ms", values=[load.p99_ms for load in found["ours"]]),
        Series(name="refused", unit="requests", values=[load.refused for load in found["ours"]]),
    ]
    ratios = {"POST /exams, of one that does nothing": series[1].median / series[0].median}
    return Report(bench="ingest", series=series, ratios=ratios)
