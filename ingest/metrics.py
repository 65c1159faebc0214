"""Metrics: ``GET /metrics``, for who watches the system."""

import platform
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version

import redis.asyncio
from aiohttp import web
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ingest.families import families, gauge
from ingest.gauge import Gauge
from ingest.live import Live
from ingest.meter import Meter
from ingest.pressure import Kind
from ingest.readings import look

_UP = "1 when Redis answered within a second; at 0 all that only Redis knows is left out."


class Metrics:
    """
    What this gateway counts, what it saw of the load, and what Redis says of all the others.

    Attributes:
        meter: What counts here.
    """

    def __init__(self, client: "redis.asyncio.Redis", gauge: Gauge, live: Live) -> None:
        self._redis = client
        self._gauge = gauge
        self.meter = Meter()
        self.meter.readers.set_function(live.count)

    async def show(self, request: web.Request) -> web.Response:
        """``GET /metrics``: also while Redis is away, with what is known here."""
        readings = await look(self._redis)
        found = [*self._own(), gauge("invigil_redis_up", _UP, int(readings is not None))]
        found += families(readings) if readings else ()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(_Found(found)), headers={"Content-Type": content_type})

    def _own(self) -> Iterator[Metric]:
        yield from self.meter.registry.collect()
        yield InfoMetricFamily(
            "invigil_build", "The gateway's version, and its Python's.", _build()
        )
        turning = GaugeMetricFamily(
            "invigil_turning_away",
            "1 while this gateway turns commands of a kind away, since there is too much to do.",
            labels=("kind",),
        )
        for kind in Kind:
            turning.add_metric((kind,), int(self._gauge.why(kind) is not None))
        yield turning
        load = self._gauge.load
        yield gauge(
            "invigil_oldest_in_line_seconds",
            "How long the oldest command has been there that no worker was told of; 0: there is "
            "none. Seen twice a second, while Redis is there.",
            max(load.waited_s, load.unread_s),
        )
        if load.free_bytes is not None:
            yield gauge(
                "invigil_disk_free_bytes",
                "Room on the disk of this gateway's data folder, seen likewise.",
                load.free_bytes,
            )


@cache
def _build() -> dict[str, str]:
    """Look the versions up once: they lie in files."""
    return {"version": version("invigil"), "python": platform.python_version()}


class _Found(Collector):
    """What was found, as the encoders want it."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        """Give it."""
        return self._found
