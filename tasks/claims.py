"""Claims: which task has an echo, and how far it came. One key per command."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from redis import Redis

from filestore.exam import Verdict
from ops import keys, tally

#: Seconds between two renewals of a claim while its echo sleeps.
RENEW_S = 1.5
#: Milliseconds a claim lives without renewal: shorter than the time after which the dispatcher
#: delivers an idle entry again, so that a dead worker's echo is taken over at the first try.
CLAIM_MS = 4_500
#: Milliseconds after which whoever began to print is believed dead. A living one says so at once,
#: or as soon as Redis is back.
PRINTING_MS = 60_000
#: Seconds for which a printed echo is remembered: longer than any redelivery is under way.
KEPT_S = 24 * 3600

_BEGIN_PRINTING = """
local value = redis.call('GET', KEYS[1])
if value == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
end
return (value == ARGV[1] or value == ARGV[2]) and 1 or 0
"""
_END = """
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[1], ARGV[4], 'EX', ARGV[5])
end
if redis.call('XACK', KEYS[2], ARGV[1], ARGV[2]) == 1 then
  redis.call('HINCRBY', KEYS[3], ARGV[3], 1)
end
"""


class State(StrEnum):
    """How far an echo came."""

    ASLEEP = "asleep"
    PRINTING = "printing"
    DONE = "done"


class Outcome(StrEnum):
    """What came of asking for an echo."""

    TAKEN = "taken"
    BUSY = "at work elsewhere"
    DONE = "done"
    DUPLICATE = "printed for another entry of the same command"
    CONFLICT = "same id, other content"
    UNCERTAIN = "its worker ended while it printed; whether the text came out is not known"


class ClaimLost(RuntimeError):  # noqa: N818 - says what happened
    """Another task has the echo now: this one slept for longer than its claim lived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    An echo that one task wants to itself.

    Attributes:
        key: Redis' key of the command.
        entry: The entry that asks for it; one command can lie in several.
        token: The task.
        digest: Of what is to be done, so that one id with two contents is noticed.
    """

    key: str
    entry: str
    token: str
    digest: str

    def value(self, state: State, at_ms: int = 0) -> str:
        """Write what stands in the key."""
        return json.dumps([state, self.token, self.digest, self.entry, at_ms])


def take(redis: Redis, claim: Claim) -> Outcome:
    """Take an echo, unless it is done or another task is at work on it."""
    if redis.set(claim.key, claim.value(State.ASLEEP), nx=True, px=CLAIM_MS):
        return Outcome.TAKEN
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.get(claim.key)
        pipeline.time()
        value, (seconds, _) = pipeline.execute()
    return judge(json.loads(value), claim, now_ms=seconds * 1000) if value else Outcome.BUSY


def judge(found: Any, claim: Claim, *, now_ms: int) -> Outcome:
    """Say what a claim that somebody holds means for one who asks. Pure."""
    state, _, digest, entry, at_ms = found
    if digest != claim.digest:
        return Outcome.CONFLICT
    if state == State.ASLEEP or (state == State.PRINTING and now_ms - at_ms < PRINTING_MS):
        return Outcome.BUSY
    if entry != claim.entry:
        return Outcome.DUPLICATE
    return Outcome.DONE if state == State.DONE else Outcome.UNCERTAIN


def renew(redis: Redis, claim: Claim) -> None:
    """
    Keep a claim alive: the key for other tasks, the entry for the dispatcher.

    ``JUSTID`` makes the entry fresh without counting as a delivery.

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
    if holder is None or holder.decode() != claim.value(State.ASLEEP):
        raise ClaimLost(claim.entry)


def begin_printing(redis: Redis, claim: Claim, *, at_ms: int) -> None:
    """
    Note that the text comes out next. From here on nobody else prints it.

    Done again after a lost answer, it does the same.

    Args:
        at_ms: Redis' clock.

    Raises:
        ClaimLost: The claim is another task's by now.
    """
    before, after = claim.value(State.ASLEEP), claim.value(State.PRINTING, at_ms)
    script = redis.register_script(_BEGIN_PRINTING)
    if not script(keys=[claim.key], args=[before, after, KEPT_S]):
        raise ClaimLost(claim.entry)


def settle(redis: Redis, claim: Claim) -> None:
    """
    Remember that an echo is done, acknowledge its entry and count it, in one step.

    Done again after a lost answer, it counts nothing: the entry is acknowledged once.
    """
    _end(redis, claim, Verdict.APPLIED, value=claim.value(State.DONE))


def acknowledge(redis: Redis, claim: Claim, verdict: Verdict, reason: str = "") -> None:
    """Have done with an entry whose command is done, or refused."""
    _end(redis, claim, verdict, reason)


def _end(redis: Redis, claim: Claim, verdict: Verdict, reason: str = "", value: str = "") -> None:
    counted = tally.field(tally.APPLIED, "echo", verdict, reason)
    names = [claim.key, keys.COMMANDS, keys.METRICS]
    arguments: list[str | int] = [keys.GROUP, claim.entry, counted, value, KEPT_S]
    redis.register_script(_END)(keys=names, args=arguments)
