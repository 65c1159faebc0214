"""Gateway: the HTTP door. Its application, and its process."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator

import redis.asyncio
import structlog
import uvloop
from aiohttp import web

from filestore.store import Store
from ingest import certificate, hardening, keyring, listener, pages
from ingest.acceptance import Acceptance
from ingest.admission import Admission, scopes_of
from ingest.bodies import MAX_BODY_BYTES
from ingest.bulk import Bulk
from ingest.calls.table import OPERATIONS
from ingest.certificate import Certificate
from ingest.connections import Connections, keep_room
from ingest.express import Express
from ingest.feed import Feed
from ingest.gauge import Gauge
from ingest.handlers import ENDING, Handlers
from ingest.listing import Listings
from ingest.live import Live
from ingest.meter import METER, measure
from ingest.metrics import Metrics
from ingest.producer import Producer
from ingest.rates import Rates
from ingest.refusals import refuse
from ingest.traces import follow
from ingest.verdicts import Verdicts
from ops import garbage, logins, notify, telemetry
from ops.events import Event
from ops.log import configure
from ops.roles import Role
from ops.settings import Settings

#: Seconds to answer what is under way when asked to end. Longer than anyone waits for Redis. Where
#: somebody does not end even then aiohttp takes as many again; `up` waits for no more than that.
GRACE_S = 4.0
#: Exit status when it cannot listen: another try changes nothing.
CANNOT_LISTEN = 2

#: Names in paths. One that is none of ours has a problem of its own; aiohttp's own pattern would
#: leave a name with braces to another path.
PK, ID = "{pk:[^/]+}", "{id:[^/]+}"
#: What was set, for a handler that depends on it.
SETTINGS = web.AppKey("SETTINGS", Settings)
#: What ordinary starts are taken with, before there is a request.
EXPRESS = web.AppKey("EXPRESS", Express)

log = structlog.get_logger()


def make_app(settings: Settings, client: "redis.asyncio.Redis", store: Store) -> web.Application:
    """Put the routes together. Nothing is sent to Redis until a request needs it."""
    producer = Producer(client)
    feed = Feed(client)
    verdicts = Verdicts(feed, store)
    gauge = Gauge(client, settings)
    acceptance = Acceptance(producer=producer, verdicts=verdicts, gauge=gauge)
    handlers = Handlers(client=client, store=store, acceptance=acceptance)
    admission = _admission(settings)
    bulk = Bulk(producer, admission, gauge)
    live = Live(client, feed, admission)
    metrics = Metrics(client, gauge, live)

    async def begin(_app: web.Application) -> None:
        feed.start()
        gauge.start()

    async def end(_app: web.Application) -> None:
        verdicts.end()
        bulk.end()
        live.end()

    async def close(_app: web.Application) -> None:
        await producer.aclose()
        await feed.aclose()
        await gauge.aclose()

    app = _guarded(settings, admission)
    app[METER] = metrics.meter
    app[EXPRESS] = Express(
        settings, producer=producer, gauge=gauge, admission=admission, meter=metrics.meter
    )
    app.add_routes(_routes(handlers, Listings(store), bulk, live, metrics))
    app.on_startup.extend((begin, admission.start))
    app.on_shutdown.append(end)
    app.on_cleanup.extend((close, admission.stop))
    return app


def _guarded(settings: Settings, admission: Admission) -> web.Application:
    """Make an application without routes; what each request passes through, and each answer."""
    origins = hardening.Origins(filter(None, settings.cors_origins.split(",")))
    app = web.Application(
        middlewares=[measure, follow, keep_room, refuse, origins.preflight, admission.admit],
        client_max_size=MAX_BODY_BYTES,
    )
    app[SETTINGS] = settings
    app[ENDING] = asyncio.Event()
    app.on_response_prepare.extend((hardening.harden, origins.allow))
    return app


def _admission(settings: Settings) -> Admission:
    return Admission(
        keyring.Keyring(keyring.file_of(settings.data)),
        Rates(settings),
        scopes=scopes_of(OPERATIONS),
        is_local=settings.is_local,
    )


def _routes(
    handlers: Handlers, listings: Listings, bulk: Bulk, live: Live, metrics: Metrics
) -> list[web.RouteDef]:
    return [
        *pages.ROUTES,
        web.post("/exams", handlers.start_exam),
        web.get("/exams", listings.list_exams),
        web.get("/exams/counts", listings.count_exams),  # before an exam of this name
        web.get(f"/exams/{PK}", handlers.show_exam),
        web.post(f"/exams/{PK}/result", handlers.report_result),
        web.post("/echo", handlers.echo),
        web.post("/commands", bulk.send_commands),
        web.get(f"/commands/{ID}", handlers.show_command),
        web.get("/events", live.events),
        web.get("/livez", handlers.livez),
        web.get("/readyz", handlers.readyz),
        web.get("/metrics", metrics.show),
    ]


def run(settings: Settings) -> int:
    """
    Serve until SIGTERM or SIGINT, then answer what is under way.

    Returns:
        The exit status: 0, or 2 with a line on standard error when it cannot listen.

    Raises:
        BadSettings: Others can reach it, and there is no key; or its certificate cannot be used.
    """
    part = os.environ.get("INVIGIL_PART", "gateway")
    configure(settings, part=part)
    keyring.require(settings)
    tls = certificate.of(settings)
    telemetry.start(part)
    most = listener.most_connections(settings)
    try:
        return uvloop.run(_serve(settings, tls, most=most))
    finally:
        telemetry.stop()


async def _serve(settings: Settings, tls: Certificate | None, *, most: int) -> int:
    log.info(Event.PART_STARTING, settings=settings.shown())
    asked_to_end = _end_signals()
    async with _application(settings) as runner, _watching(runner, tls, most=most) as connections:
        try:
            server = await listener.listen(connections, settings, tls)
        except (OSError, UnicodeError) as error:  # a name that no name server can be asked for
            sys.stderr.write(f"invigil: {listener.why_not(settings, error)}\n")
            return CANNOT_LISTEN
        garbage.spare_what_stays()
        notify.ready()
        log.info(Event.PART_READY, url=listener.url(server, settings))
        await asked_to_end.wait()
        log.info(Event.PART_STOPPING)
        await _drain(runner.app, asked_to_end, settings.drain)
        server.close()
    log.info(Event.PART_STOPPED)
    return 0


@contextlib.asynccontextmanager
async def _application(settings: Settings) -> AsyncIterator[web.AppRunner]:
    """Set up what serves, with a Redis to talk to."""
    async with logins.connect_async(settings, Role.GATEWAY) as client:
        app = make_app(settings, client, Store(settings.exams))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_S)
        await runner.setup()
        yield runner


@contextlib.asynccontextmanager
async def _watching(
    runner: web.AppRunner, tls: Certificate | None, *, most: int
) -> AsyncIterator[Connections]:
    """Look after the connections; on leaving, let requests end while somebody still does."""
    assert runner.server
    connections = Connections(runner.server, most=most, express=runner.app[EXPRESS])
    runner.app[METER].connections.set_function(lambda: connections.count)
    watchers = [asyncio.create_task(one.watch()) for one in (connections, tls) if one]
    try:
        yield connections
    finally:
        connections.hurry()
        await runner.cleanup()
        for watcher in watchers:
            watcher.cancel()
        await asyncio.wait(watchers)


async def _drain(app: web.Application, asked_to_end: asyncio.Event, drain_s: int) -> None:
    """Be not ready for a while, and serve: who sends traffic has to see it. Or be asked again."""
    app[ENDING].set()
    asked_to_end.clear()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asked_to_end.wait(), drain_s)


def _end_signals() -> asyncio.Event:
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    return asked_to_end
