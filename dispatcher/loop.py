"""Loop: the dispatcher's process. Active while it has the lease, a stand-by while it has not."""

import signal
import threading

import kombu.exceptions
import redis.exceptions
import structlog
from redis import Redis

from dispatcher import lease
from dispatcher.lease import LeaseLost
from dispatcher.turns import Dispatcher
from ops import garbage, logins, notify, outage, telemetry
from ops.events import Event
from ops.log import configure
from ops.roles import Role
from ops.settings import Settings
from tasks.app import app as celery_app

#: Seconds between two looks at the lease of a stand-by: it must take over within three.
STAND_BY_S = 0.25

#: What says that Redis or the broker on it is away, or not as it was: begin anew.
AWAY = (redis.exceptions.RedisError, kombu.exceptions.OperationalError, ConnectionError)

log = structlog.get_logger()


def run(settings: Settings, *, part: str = "dispatcher") -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    configure(settings, part=part)
    telemetry.start(part)
    log.info(Event.PART_STARTING, settings=settings.shown())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    token = lease.new_token()
    client = logins.connect(settings, Role.DISPATCHER, name=token)
    take_turns(client, settings=settings, token=token, stop=stop)
    telemetry.stop()
    log.info(Event.PART_STOPPED)
    return 0


def take_turns(client: Redis, *, settings: Settings, token: str, stop: threading.Event) -> None:
    """Be the active dispatcher whenever the lease can be had; wait out a Redis that is away."""
    is_ready = False
    while not stop.is_set():
        try:
            has_lease = lease.take(client, token=token)
            if not is_ready:
                garbage.spare_what_stays()
                log.info(Event.PART_READY, is_active=has_lease)
                notify.ready()
                is_ready = True
            if has_lease:
                _serve(client, settings=settings, token=token, stop=stop)
            else:
                outage.REDIS.ended()
                stop.wait(STAND_BY_S)
        except LeaseLost:
            log.warning(Event.LEASE_LOST)
        except AWAY as error:
            stop.wait(outage.REDIS.went_on(error))


def _serve(client: Redis, *, settings: Settings, token: str, stop: threading.Event) -> None:
    if not outage.REDIS.is_away:
        log.info(Event.LEASE_TAKEN)
    dispatcher = Dispatcher(
        client,
        app=celery_app,
        settings=settings,
        token=token,
        stop=stop,
        on_turn=outage.REDIS.ended,
    )
    dispatcher.serve()
    log.info(Event.PART_STOPPING)
    lease.release(client, token=token)
