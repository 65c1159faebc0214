"""Lease: one dispatcher is active, so that inboxes fill in the stream's order."""

from redis import Redis

from ops import keys

#: Milliseconds for which a dispatcher that says nothing is believed alive. Each read renews it.
LEASE_MS = 2_000

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class LeaseLost(RuntimeError):  # noqa: N818 - says what happened
    """Another dispatcher is active; what this one has in hand is the other's by now."""


def take(redis: Redis, *, token: str) -> bool:
    """Become the active dispatcher, or stay it; False while another one is."""
    if redis.set(keys.LEASE, token, nx=True, px=LEASE_MS):
        return True
    return bool(redis.get(keys.LEASE) == token.encode())


def release(redis: Redis, *, token: str) -> None:
    """Let a stand-by begin at once instead of when the lease runs out."""
    redis.register_script(_RELEASE)(keys=[keys.LEASE], args=[token])
