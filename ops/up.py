"""Up: the whole stack in one terminal."""

import asyncio
import os
import signal
import sys
import time
from functools import partial

import click
import structlog

from ops import embedded, log, output, preflight
from ops.celery_argv import beat_argv, worker_argv
from ops.events import Event
from ops.keys import QUEUE_EXAM, QUEUE_MAIL, QUEUE_SLOW
from ops.nursery import Nursery, with_packages
from ops.part import Part
from ops.preflight import Refusal, free_port
from ops.settings import Settings, variable, without_settings
from ops.supervisor import End, Supervisor

#: Seconds a part has to finish what it does; the gateway gives its clients four of them.
GRACE_S = 8.0
WORKER_GRACE_S = 10.0
#: Seconds for Redis to write its file when everything has to be quick.
LAST_WORDS_S = 1.0
#: The order of the end: whoever gives work ends before whoever does it, and Redis last.
ENDS = (
    ("gateway",),
    ("dispatcher", "beat"),
    tuple(f"worker-{queue}" for queue in (QUEUE_EXAM, QUEUE_MAIL, QUEUE_SLOW)),
    ("sink",),
    ("redis",),
)

_log = structlog.get_logger()


def run(settings: Settings, nursery: Nursery | None = None) -> int:
    """
    Run all parts until a signal.

    Args:
        nursery: Where parts come from; without, each is started on its own.

    Returns:
        The exit code: 0 after an end in order, 130 after a second signal, 2 when a setting is
        wrong, 1 when something does not start.
    """
    try:
        lock = preflight.take_lock(settings)
    except Refusal as refusal:
        return _say(End(refusal.code, str(refusal)))
    try:
        return _say(asyncio.run(_run(preflight.complete(settings), nursery)))
    except Refusal as refusal:
        return _say(End(refusal.code, str(refusal)))
    except embedded.NotStarted as error:
        return _say(End(1, str(error)))
    except OSError as error:  # before the first part: later ones wait for their disk
        where = f"{error.filename or settings.data}"
        return _say(End(1, f"INVIGIL_DATA: cannot use {where}: {error.strerror}"))
    finally:
        os.close(lock)


def stages(settings: Settings, *, sink_port: int | None) -> list[list[Part]]:
    """
    Return the parts in the order of their start.

    What keeps deadlines starts first, and finds Redis by itself: after a crash every second until
    then is one that somebody's `absent` is late.

    Args:
        settings: With a port for the gateway and the URL of a mail server.
        sink_port: Port of the development mail sink; None when there is a real mail server.
    """
    part = partial(_part, settings)
    worker = partial(_worker, settings)
    cli = [sys.executable, "-m", "ops.cli"]
    redis = [_redis(settings)] if settings.is_embedded else []
    sink = [part("sink", [*cli, "sink", "--port", str(sink_port)])] if sink_port else []
    return [
        [
            *redis,
            worker(QUEUE_EXAM, settings.exam_autoscale),
            part("dispatcher", [*cli, "dispatcher"]),
        ],
        [
            part("gateway", [*cli, "gateway"], grace_s=GRACE_S + settings.drain),
            worker(QUEUE_SLOW, settings.slow_autoscale),
        ],
        [
            *sink,
            worker(QUEUE_MAIL, settings.mail_autoscale),
            part("beat", beat_argv()),
        ],
    ]


def environment(settings: Settings) -> dict[str, str]:
    """
    Return the environment of every part: ours, with each setting as it holds here.

    ``REDIS_URL`` stays unset for the embedded server: each part finds the socket by the data
    folder. Where a file has the logins, the URL goes without one. Packages that are not installed
    but lie in a checkout are found from everywhere.
    """
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    own = {name: value for name, value in values.items() if name != "key"}  # of who calls us
    own["redis_url"] = None if settings.is_embedded else settings.redis
    given = {variable(name): str(value) for name, value in own.items() if value is not None}
    env = {**os.environ, **given, "PYTHONUNBUFFERED": "1"}
    env.pop(variable("key"), None)
    if not sys.stdout.isatty():
        env["NO_COLOR"] = "1"
    return with_packages(env)


async def _run(settings: Settings, nursery: Nursery | None) -> End:
    began = time.monotonic()
    sink_port = free_port("127.0.0.1") if settings.smtp_url is None else None
    if sink_port is not None:
        url = f"smtp://127.0.0.1:{sink_port}"
        settings = settings.model_copy(update={"smtp_url": url})
    planned = stages(settings, sink_port=sink_port)
    names = [part.name for stage in planned for part in stage]
    is_console = settings.log_format == "console"

    def on_ready() -> None:
        facts = _facts(settings, has_sink=sink_port is not None)
        took_s = time.monotonic() - began
        _log.info(Event.UP_READY, **facts, took_s=round(took_s, 3))
        if is_console:
            output.write([output.banner(facts, took_s=took_s).encode()])

    log.configure(settings, part="up")
    _log.info(Event.PART_STARTING, parts=names, settings=settings.shown())
    show = output.Prefixed(names).show if is_console else output.show_json
    supervisor = Supervisor(planned, ends=ENDS, show=show, on_ready=on_ready, nursery=nursery)
    end = await supervisor.run()
    _log.info(Event.UP_STOPPED, exit_code=end.code, reason=end.reason)
    return end


def _part(
    settings: Settings,
    name: str,
    argv: list[str],
    *,
    grace_s: float = GRACE_S,
) -> Part:
    return Part(
        name=name,
        argv=tuple(argv),
        env={**environment(settings), "INVIGIL_PART": name},
        cwd=settings.data,
        log=settings.logs / f"{name}.jsonl",
        grace_s=grace_s,
    )


def _worker(settings: Settings, queue: str, autoscale: str) -> Part:
    argv = worker_argv(queue, autoscale)
    return _part(settings, f"worker-{queue}", argv, grace_s=WORKER_GRACE_S)


def _redis(settings: Settings) -> Part:
    return Part(
        name="redis",
        argv=tuple(embedded.command(settings, embedded.find_server())),
        env=without_settings(os.environ),
        cwd=settings.data,
        log=embedded.log_path(settings),
        grace_s=embedded.END_LIMIT_S,
        last_words_s=LAST_WORDS_S,
        parent_death=signal.SIGTERM,
        take_lock=partial(embedded.take_lock, settings),
        answers=partial(embedded.answers, settings),
    )


def _facts(settings: Settings, *, has_sink: bool) -> dict[str, str]:
    shown_redis = settings.shown()["REDIS_URL"] or settings.redis
    return {
        "url": settings.url,
        "data": str(settings.data),
        "logs": str(settings.logs),
        "redis": shown_redis,
        "mail": str(settings.mail / "maildir")
        if has_sink
        else settings.shown()["INVIGIL_SMTP_URL"],
    }


def _say(end: End) -> int:
    if end.reason:
        click.echo(f"invigil up: {end.reason}", err=True)
    return end.code
