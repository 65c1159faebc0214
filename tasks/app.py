"""App: the Celery application, its queues, and the life of its processes."""

import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any, TypeVar

import redis.exceptions
import structlog
from celery import Celery, signals
from celery.platforms import SecurityWarning
from kombu.entity import Exchange, Queue
from kombu.transport import TRANSPORT_ALIASES
from redis import Redis

from filestore.store import Store
from ops import garbage, keys, logins, notify, outage, telemetry
from ops.events import Event
from ops.log import configure
from ops.roles import Role
from ops.settings import BadSettings, Settings
from tasks.broker import broker_url
from tasks.slots import EverySlot

EXAM_TASK = "tasks.exam"
MAIL_TASK = "tasks.mail"
ECHO_TASK = "tasks.slow.echo"
#: Seconds until Celery itself delivers again what a killed worker had taken. Nothing waits for
#: it: the dispatcher rings again within seconds. It only has to be longer than a short task.
VISIBILITY_TIMEOUT_S = 600
#: Connections of one worker to the broker: each green thread that ends acknowledges on its own.
MOST_CONNECTIONS = 2_000
#: Seconds a new pool process may take to say that it is up; two busy cores need more than 4.
PROCESS_START_S = 60
#: Seconds that a worker has to end after an error that Celery cannot recover from.
GIVEN_UP_S = 1.0
#: Seconds between two tries to prepare a store whose disk was away when the worker started.
PREPARE_EVERY_S = 3.0
#: Seconds between two looks for Redis at the start.
LOOK_S = 0.05

T = TypeVar("T")

log = structlog.get_logger()


def _or_exit(act: Callable[[], T]) -> T:
    """Do what depends on the settings; a bad one ends the process with one line."""
    try:
        return act()
    except BadSettings as error:
        sys.stderr.write(f"invigil: {error}\n")
        raise SystemExit(2) from None


settings = _or_exit(Settings.read)

# Celery warns a worker that runs as root, as in most containers, of pickled messages. Ours takes
# JSON only.
warnings.filterwarnings("ignore", category=SecurityWarning)

# For every Redis that a URL names: a message is looked at before Celery has it.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "tasks.transport:Transport"))

app = Celery(
    "tasks", include=[f"tasks.{name}" for name in ("spans", "roster", "exam", "mail", "slow")]
)
app.conf.update(
    broker_url=broker_url(settings.redis, has_logins=settings.redis_logins is not None),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_channel_error_retry=True,  # what a full or read-only Redis answers; else it would end
    broker_transport_options={
        "global_keyprefix": keys.CELERY,
        "fanout_prefix": keys.FANOUT,
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "max_connections": MOST_CONNECTIONS,
    },
    task_queues=[
        Queue(name, Exchange(name), routing_key=name)
        for name in (keys.QUEUE_EXAM, keys.QUEUE_MAIL, keys.QUEUE_SLOW)
    ],
    worker_consumer="tasks.consumer:Consumer",
    task_create_missing_queues=False,
    task_default_queue=keys.QUEUE_EXAM,
    task_routes={
        EXAM_TASK: {"queue": keys.QUEUE_EXAM},
        MAIL_TASK: {"queue": keys.QUEUE_MAIL},
        ECHO_TASK: {"queue": keys.QUEUE_SLOW},
    },
    task_acks_late=True,
    task_retry_on_worker_lost=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_autoscaler="tasks.autoscale:Autoscaler",
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_proc_alive_timeout=PROCESS_START_S,
    timezone="UTC",
    beat_scheduler="celery.beat:Scheduler",
    beat_schedule={
        "digest": {
            "task": MAIL_TASK,
            "schedule": EverySlot(settings.mail_every),
            "options": {"expires": settings.mail_every},
        }
    },
)


@cache
def redis_client() -> Redis:
    """Client of this process; redis-py makes new connections after a fork."""
    return logins.connect(settings, Role.WORKER)


@cache
def store() -> Store:
    """File store of this process."""
    return Store(settings.exams)


#: Of a worker that was started by hand: after the queues it serves.
_by_queues = ""


@signals.celeryd_init.connect
def _name_part(options: dict[str, Any], **_: object) -> None:
    """Name a worker that was started by hand after the queues it serves; log from here on."""
    global _by_queues  # noqa: PLW0603 - only this signal knows them, the next ones want the name
    queues = options.get("queues")
    if queues and "INVIGIL_PART" not in os.environ:
        names = queues if isinstance(queues, str) else ",".join(queues)
        _by_queues = f"worker-{names.replace(',', '-')}"
    _configure_once()


@signals.setup_logging.connect
def _set_up_logging(**_: object) -> None:
    """Keep Celery from setting up logging of its own: having a receiver is enough."""
    _configure_once()


@cache
def _configure_once() -> None:
    given = os.environ.get("INVIGIL_PART")  # only now: this module may be older than the part
    part = given or _by_queues or ("beat" if "beat" in sys.argv else "worker")
    _or_exit(partial(configure, settings, part=part))
    telemetry.start(part)


@signals.worker_init.connect
def _prepare_store(**_: object) -> None:
    log.info(Event.PART_STARTING, settings=settings.shown())
    _prepare()
    _wait_for_redis()
    garbage.spare_what_stays()  # for its pool's processes too, which begin as copies of this one


def _prepare() -> None:
    try:
        swept = store().prepare()
    except OSError as error:
        outage.DISK.went_on(error)
        return
    outage.DISK.ended()
    if swept:
        log.info(Event.LEFTOVERS_SWEPT, files=swept)


def _wait_for_redis() -> None:
    """Wait until Redis answers: Celery would look again two seconds later, then four, then six."""
    while True:
        try:
            with logins.connect(settings, Role.WORKER) as client:
                client.ping()
        except redis.exceptions.RedisError as error:
            time.sleep(min(outage.REDIS.went_on(error), LOOK_S))
        else:
            outage.REDIS.ended()
            return


@signals.worker_ready.connect
def _prepare_again(sender: Any, **_: object) -> None:
    """Try again while the disk is away, on the worker's own timer; the tasks need not wait."""
    if outage.DISK.is_away:
        _prepare()
        sender.timer.call_after(PREPARE_EVERY_S, _prepare_again, (sender,))


@signals.beat_init.connect
@signals.worker_ready.connect
def _say_ready(**_: object) -> None:
    log.info(Event.PART_READY)
    notify.ready()


@signals.worker_ready.connect
def _ask_for_bells(**_: object) -> None:
    """
    Have every bell rung again that nobody has answered.

    Redis hands a message over before the worker that asked for it has it: one that is killed
    takes along what it was just given. Who starts cannot know whether there was such a one.
    """
    if keys.QUEUE_EXAM not in app.amqp.queues.consume_from:
        return
    with suppress(
        redis.exceptions.RedisError
    ):  # then the dispatcher rings by itself, seconds later
        redis_client().set(keys.RING_AGAIN, "1", ex=keys.RING_AGAIN_S)


class EndSoon(logging.Handler):
    """
    End a worker that Celery has given up.

    After an error that it calls unrecoverable, such as a race in its own handling of a lost
    connection, Celery's main process can take 30 s to end, or for ever. What it held is taken up
    again, as after a kill, so it need not take its time.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Start the clock; `celery.worker` is critical about nothing else."""
        if record.name == "celery.worker":
            clock = threading.Timer(GIVEN_UP_S, os._exit, (1,))
            clock.daemon = True
            clock.start()


logging.getLogger("celery.worker").addHandler(EndSoon(logging.CRITICAL))


@signals.worker_shutting_down.connect
def _say_stopping(sig: str = "", **_: object) -> None:
    log.info(Event.PART_STOPPING, signal=sig)


@signals.worker_process_shutdown.connect
def _end_process(**_: object) -> None:
    """A process of the pool ends without what others do at their end."""
    telemetry.stop()


@signals.worker_shutdown.connect
def _say_stopped(**_: object) -> None:
    telemetry.stop()
    log.info(Event.PART_STOPPED)
