"""Slow: tasks that sleep. Hundreds at once in green threads, so that none waits for another."""

import json
import time
from collections.abc import Callable
from hashlib import sha256

import structlog
from celery import Task
from redis import Redis

from filestore.exam import Reason, Verdict
from ops import keys, outage, tally, telemetry, trace
from ops.connect import is_away
from ops.events import Event
from ops.log import printable
from tasks import attempts, claims, dead
from tasks.app import ECHO_TASK, app, redis_client, settings
from tasks.claims import RENEW_S, Claim, ClaimLost, Outcome
from tasks.spans import trace_of

#: Where the attempts at echoes are noted: no pk can have this name.
ECHOES = "echo:"

log = structlog.get_logger()


@app.task(name=ECHO_TASK, bind=True)
def echo(
    task: Task, *, entry: str, command_id: str, source: str | None, text: str, delay: float
) -> None:
    """
    Sleep *delay* seconds, then print *text*: once per command, however often it comes.

    A worker that ends between the note that it prints and the note that it has printed leaves an
    echo of which nobody knows. It is not printed again but buried, for people to decide.
    """
    redis = redis_client()
    traced = trace_of(task) or trace.derived(entry)
    bound = log.bind(entry=entry, command_id=command_id, type="echo", trace_id=traced.trace_id)
    claim = Claim(
        key=keys.echo(source, command_id),
        entry=entry,
        token=str(task.request.id),
        digest=digest(text, delay),
    )
    try:
        outcome = claims.take(redis, claim)
        if outcome is not Outcome.TAKEN:
            decline(redis, claim, outcome, bound)
            return
        bound.info(Event.ECHO_STARTED, delay_s=delay)
        with telemetry.span("echo", traced, telemetry.ids(command_id=command_id, entry=entry)):
            sleep_and_renew(redis, claim, delay_s=delay)
            perform(redis, claim, text, bound)
        outage.REDIS.ended()
    except ClaimLost:
        bound.warning(Event.ECHO_SKIPPED, reason="the claim was lost")
    except Exception as error:
        if is_away(error):
            outage.REDIS.went_on(error)
            return
        bound.exception(Event.FAILED)
        tally.note(redis, tally.field(tally.FAILURES, ECHO_TASK))
        give_up(redis, entry, error, bound)


def digest(text: str, delay: float) -> str:
    """Mark what an echo asks for."""
    return sha256(json.dumps([text, delay]).encode()).hexdigest()[:16]


def sleep_and_renew(redis: Redis, claim: Claim, *, delay_s: float) -> None:
    """
    Sleep, and keep the claim alive.

    Raises:
        ClaimLost: The claim is another task's by now.
    """
    until = time.monotonic() + delay_s
    while (left_s := until - time.monotonic()) > 0:
        time.sleep(min(left_s, RENEW_S))
        claims.renew(redis, claim)


def perform(redis: Redis, claim: Claim, text: str, bound: structlog.stdlib.BoundLogger) -> None:
    """
    Print, and say so however long Redis is away: the text cannot be taken back.

    Raises:
        ClaimLost: The claim is another task's by now; nothing was printed.
    """
    line = f"echo: {printable(text)}"
    at_ms = redis.time()[0] * 1000
    insist(lambda: claims.begin_printing(redis, claim, at_ms=at_ms))
    print(line, flush=True)  # noqa: T201 - what was asked for
    bound.info(Event.ECHO_PRINTED, text=text)
    insist(lambda: claims.settle(redis, claim))


def insist(act: Callable[[], None]) -> None:
    """Do what may be done twice, again and again until Redis has answered."""
    while True:
        try:
            return act()
        except Exception as error:
            if not is_away(error):
                raise
            time.sleep(outage.REDIS.went_on(error))


def decline(
    redis: Redis, claim: Claim, outcome: Outcome, bound: structlog.stdlib.BoundLogger
) -> None:
    """Leave an echo that is another task's alone; have done with one that needs no work."""
    match outcome:
        case Outcome.DONE:
            claims.acknowledge(redis, claim, Verdict.APPLIED)
            bound.info(Event.ECHO_SKIPPED, reason=outcome)
        case Outcome.DUPLICATE:
            claims.acknowledge(redis, claim, Verdict.DUPLICATE)
            bound.info(Event.DUPLICATE, reason=outcome)
        case Outcome.CONFLICT:
            claims.acknowledge(redis, claim, Verdict.REFUSED, Reason.CONFLICT)
            bound.warning(Event.REFUSED, reason=Reason.CONFLICT)
        case Outcome.UNCERTAIN:
            if dead.bury(redis, entry=claim.entry, reason=outcome):
                bound.error(Event.BURIED, reason=outcome)
        case _:
            bound.info(Event.ECHO_SKIPPED, reason=outcome)


def give_up(
    redis: Redis, entry: str, error: Exception, bound: structlog.stdlib.BoundLogger
) -> None:
    """Count what nobody expected, and bury an echo that meets it every time."""
    try:
        count = attempts.begin_alone(redis, ECHOES, entry)
        if count < settings.max_deliveries:
            return
        reason = f"failed {count} times: {attempts.digest(error)}"
        if dead.bury(redis, entry=entry, reason=reason, error=attempts.digest(error)):
            bound.error(Event.BURIED, reason=reason)
        attempts.end_alone(redis, ECHOES, entry)
    except Exception as away:
        if not is_away(away):
            raise
