"""Slow: tasks that sleep. Hundreds at once in green threads, so that none waits for another."""

import time
from dataclasses import dataclass

import structlog
from celery import Task
from redis import Redis

from ops import keys, outage
from ops.connect import is_away
from ops.events import Event
from ops.log import printable
from tasks.app import ECHO_TASK, app, redis_client

#: Seconds between two renewals of an echo's claim while it sleeps.
RENEW_S = 1.5
#: Milliseconds a claim lives without renewal: shorter than the time after which the dispatcher
#: delivers an idle entry again, so that a dead worker's echo is taken over at the first try.
CLAIM_MS = 4_500
#: Seconds for which a finished echo is remembered: longer than any redelivery is under way.
DONE_S = 24 * 3600
#: What stands in place of the token then.
DONE = b"done"

log = structlog.get_logger()


class ClaimLost(RuntimeError):  # noqa: N818 - says what happened
    """Another task has the echo now: this one slept for longer than its claim lived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An echo that one task, by its token, wants to itself: the entry, and the key that says so."""

    entry: str
    key: str
    token: str


@app.task(name=ECHO_TASK, bind=True)
def echo(
    task: Task, *, entry: str, command_id: str, source: str | None, text: str, delay: float
) -> None:
    """Sleep *delay* seconds, then print *text*: once per command, however often it comes."""
    redis = redis_client()
    bound = log.bind(entry=entry, command_id=command_id)
    claim = Claim(entry=entry, key=keys.echo(source, command_id), token=str(task.request.id))
    try:
        if not take(redis, claim):
            bound.info(Event.ECHO_SKIPPED, reason="done, or at work elsewhere")
            return
        bound.info(Event.ECHO_STARTED, delay_s=delay)
        sleep_and_renew(redis, claim, delay_s=delay)
        print(f"echo: {printable(text)}", flush=True)  # noqa: T201 - what was asked for
        bound.info(Event.ECHO_PRINTED, text=text)
        settle(redis, claim)
        outage.REDIS.ended()
    except ClaimLost:
        bound.warning(Event.ECHO_SKIPPED, reason="the claim was lost")
    except Exception as error:
        if not is_away(error):
            raise
        outage.REDIS.went_on(error)


def take(redis: Redis, claim: Claim) -> bool:
    """Take an echo, unless it is done or another task is at work on it."""
    if redis.set(claim.key, claim.token, nx=True, px=CLAIM_MS):
        return True
    if redis.get(claim.key) == DONE:
        redis.xack(keys.COMMANDS, keys.GROUP, claim.entry)
    return False


def sleep_and_renew(redis: Redis, claim: Claim, *, delay_s: float) -> None:
    """
    Sleep, and keep the claim alive: the key for other tasks, the entry for the dispatcher.

    Raises:
        ClaimLost: The claim is another task's by now.
    """
    until = time.monotonic() + delay_s
    while (left_s := until - time.monotonic()) > 0:
        time.sleep(min(left_s, RENEW_S))
        renew(redis, claim)


def renew(redis: Redis, claim: Claim) -> None:
    """
    Renew a claim. ``JUSTID`` makes the entry fresh without counting as a delivery.

    Raises:
        ClaimLost: The claim is another task's by now.

    Source: https://redis.io/docs/latest/commands/xclaim/
    """
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.get(claim.key)
        pipeline.pexpire(claim.key, CLAIM_MS)
        pipeline.xclaim(
            keys.COMMANDS, keys.GROUP, keys.SLOW_CONSUMER, 0, [claim.entry], justid=True
        )
        holder, *_ = pipeline.execute()
    if holder is None or holder.decode() != claim.token:
        raise ClaimLost(claim.entry)


def settle(redis: Redis, claim: Claim) -> None:
    """Remember that an echo is done, and acknowledge its entry, in one step."""
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.set(claim.key, DONE, ex=DONE_S)
        pipeline.xack(keys.COMMANDS, keys.GROUP, claim.entry)
        pipeline.execute()
