"""Gateway: the HTTP door. Its application, and its process."""

import asyncio
import contextlib
import errno
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator

import redis.asyncio
import structlog
from aiohttp import web

from filestore.store import Store
from ingest import keyring, pages
from ingest.acceptance import Acceptance
from ingest.admission import Admission, scopes_of
from ingest.bodies import MAX_BODY_BYTES
from ingest.bulk import Bulk
from ingest.calls.table import OPERATIONS
from ingest.feed import Feed
from ingest.gauge import Gauge
from ingest.handlers import Handlers
from ingest.listing import Listings
from ingest.live import Live
from ingest.producer import Producer
from ingest.refusals import refuse
from ingest.traces import follow
from ingest.verdicts import Verdicts
from ops import logins, notify, telemetry
from ops.connect import connect_async
from ops.events import Event
from ops.log import configure
from ops.roles import Role
from ops.settings import Settings, variable

#: Seconds to answer what is under way when asked to end. Longer than anyone waits for Redis.
GRACE_S = 5.0
#: Files that are open at once: each client who listens to the events is one.
MOST_FILES = 65_536
#: Exit status when it cannot listen: another try changes nothing.
CANNOT_LISTEN = 2

#: Names in paths. One that is none of ours has a problem of its own; aiohttp's own pattern would
#: leave a name with braces to another path.
PK, ID = "{pk:[^/]+}", "{id:[^/]+}"
#: What was set, for a handler that depends on it.
SETTINGS = web.AppKey("SETTINGS", Settings)

log = structlog.get_logger()


def make_app(settings: Settings, client: "redis.asyncio.Redis", store: Store) -> web.Application:
    """Put the routes together. Nothing is sent to Redis until a request needs it."""
    producer = Producer(client)
    feed = Feed(client)
    verdicts = Verdicts(feed, store)
    gauge = Gauge(client, settings)
    acceptance = Acceptance(producer=producer, verdicts=verdicts, gauge=gauge)
    handlers = Handlers(client=client, store=store, acceptance=acceptance)
    admission = Admission(
        keyring.Keyring(keyring.file_of(settings.data)),
        scopes=scopes_of(OPERATIONS),
        is_local=settings.is_local,
    )
    bulk = Bulk(producer, admission, gauge)
    live = Live(client, feed, admission)

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

    app = web.Application(
        middlewares=[follow, refuse, admission.admit], client_max_size=MAX_BODY_BYTES
    )
    app[SETTINGS] = settings
    app.add_routes(pages.ROUTES)
    app.add_routes(_routes(handlers, Listings(store), bulk, live))
    app.on_startup.extend((begin, admission.start))
    app.on_shutdown.append(end)
    app.on_cleanup.extend((close, admission.stop))
    return app


def _routes(handlers: Handlers, listings: Listings, bulk: Bulk, live: Live) -> list[web.RouteDef]:
    return [
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
    ]


def run(settings: Settings) -> int:
    """
    Serve until SIGTERM or SIGINT, then answer what is under way.

    Returns:
        The exit status: 0, or 2 with a line on standard error when it cannot listen.

    Raises:
        BadSettings: Others can reach it, and there is no key.
    """
    part = os.environ.get("INVIGIL_PART", "gateway")
    configure(settings, part=part)
    keyring.require(settings)
    telemetry.start(part)
    _allow_many_clients()
    try:
        return asyncio.run(_serve(settings))
    finally:
        telemetry.stop()


async def _serve(settings: Settings) -> int:
    log.info(Event.PART_STARTING, settings=settings.shown())
    asked_to_end = _end_signals()
    async with _runner(settings) as runner:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            sys.stderr.write(f"invigil: {_cannot_listen(settings, error)}\n")
            return CANNOT_LISTEN
        notify.ready()
        log.info(Event.PART_READY, url=_url(runner))
        await asked_to_end.wait()
        log.info(Event.PART_STOPPING)
    log.info(Event.PART_STOPPED)
    return 0


@contextlib.asynccontextmanager
async def _runner(settings: Settings) -> AsyncIterator[web.AppRunner]:
    """Set up what serves; on leaving, stop listening, let requests end, close Redis."""
    login = logins.of(settings, Role.GATEWAY)
    async with connect_async(settings.redis, login=login) as client:
        app = make_app(settings, client, Store(settings.exams))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_S)
        await runner.setup()
        try:
            yield runner
        finally:
            await runner.cleanup()


def _allow_many_clients() -> None:
    """Take what the system lets a process have: most give 1,024 files to who does not ask."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):  # macOS has a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _end_signals() -> asyncio.Event:
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    return asked_to_end


def _url(runner: web.AppRunner) -> str:
    """Where it listens: with port 0, only the socket knows."""
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _cannot_listen(settings: Settings, error: OSError) -> str:
    """Name the setting to change."""
    if error.errno == errno.EADDRINUSE:
        return f"{variable('port')}: port {settings.port} of {settings.host} is in use"
    if error.errno == errno.EACCES:
        return f"{variable('port')}: port {settings.port} is not allowed: {error}"
    return f"{variable('host')}: cannot listen on {settings.host!r}: {error}"
