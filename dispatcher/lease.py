"""Lease: one dispatcher is active, so that inboxes fill in the stream's order."""

from contextlib import suppress
from uuid import uuid4

import redis.exceptions
from redis import Redis

from ops import keys

#: Milliseconds for which a dispatcher that says nothing is believed alive. Each read renews it.
LEASE_MS = 2_000
#: How a token begins that is the name of its holder's connections, too.
NAMED = "dispatcher-"

_TAKE_OVER = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class LeaseLost(RuntimeError):  # noqa: N818 - says what happened
    """Another dispatcher is active; what this one has in hand is the other's by now."""


def new_token() -> str:
    """Make a token; all connections of its holder are to have it as their name."""
    return f"{NAMED}{uuid4()}"


def take(client: Redis, *, token: str) -> bool:
    """
    Become the active dispatcher, or stay it; False while another one is.

    One that has died is not waited for: a process that was killed has no connection any more, and
    Redis knows it at once. Should it be alive after all, about to connect again, then it finds its
    lease lost, and does no harm.
    """
    if client.set(keys.LEASE, token, nx=True, px=LEASE_MS):
        return True
    holder = client.get(keys.LEASE)
    if holder == token.encode():
        return True
    if not isinstance(holder, bytes) or not _is_dead(client, holder.decode(errors="replace")):
        return False
    take_over = client.register_script(_TAKE_OVER)
    return bool(take_over(keys=[keys.LEASE], args=[holder, token, LEASE_MS]))


def _is_dead(client: Redis, holder: str) -> bool:
    """Whether no connection has the holder's name; False where that cannot be known."""
    if holder.startswith(NAMED):
        with suppress(redis.exceptions.ResponseError):  # it does not tell; then the lease runs out
            return holder not in {one["name"] for one in client.client_list(_type="normal")}
    return False


def release(client: Redis, *, token: str) -> None:
    """Let a stand-by begin at once instead of when the lease runs out."""
    client.register_script(_RELEASE)(keys=[keys.LEASE], args=[token])
