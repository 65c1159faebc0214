"""
Roles: who may do what in Redis, in one table. Pure.

Each right names keys and the commands for them, and becomes a selector of Redis 7, so that a
command is allowed for its own keys and for no others. A script is run with its caller's rights,
so what it calls stands here as well. Every command is known to Redis 7.0.

Source: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ops import keys


class Role(StrEnum):
    """A part, or a person's tool, as Redis knows it."""

    GATEWAY = "gateway"
    DISPATCHER = "dispatcher"
    WORKER = "worker"  # of every queue, and beat
    PRODUCER = "producer"
    AUDITOR = "auditor"
    OPERATOR = "operator"

    @property
    def user(self) -> str:
        """Name of its user in Redis."""
        return f"{USERS}{self.value}"


#: How the names of our users begin; every other user is somebody else's.
USERS = "invigil-"
#: What `up` starts, so what has to work before it starts anything.
PARTS = (Role.GATEWAY, Role.DISPATCHER, Role.WORKER)


@dataclass(frozen=True, slots=True)
class Right:
    """
    Commands, for these keys alone.

    Attributes:
        keys: Names or patterns; none for commands that name no key.
        commands: With blanks between them; a subcommand as in ``xinfo|stream``.
        channels: Names; a right to listen with a pattern names that pattern itself.
    """

    keys: tuple[str, ...]
    commands: str
    channels: tuple[str, ...] = ()

    @property
    def is_general(self) -> bool:
        """Whether it is about nothing in particular."""
        return not (self.keys or self.channels)


INBOXES, ATTEMPTS, ONCE = keys.inbox("*"), keys.attempts("*"), keys.once("*")
ECHOES = "invigil:echo:*"
CELERYS = f"{keys.CELERY}*"
#: Channel on which a worker would be told what to do, if anybody could.
CONTROL = f"{keys.CELERY}{keys.FANOUT}celery.pidbox"
#: Lists that the dispatcher puts messages into.
QUEUES = (f"{keys.CELERY}{keys.QUEUE_EXAM}", f"{keys.CELERY}{keys.QUEUE_SLOW}")
#: What every connection may do: look whether it lives, use the database of its URL, and ask what
#: it may do, which is done in a transaction that is never executed.
_BASE = Right((), "multi ping select")
_STREAM = "xinfo|groups xinfo|stream xlen xpending xrange xread xrevrange"

ROLES: Mapping[Role, tuple[Right, ...]] = {
    Role.GATEWAY: (
        _BASE,
        Right((), "exec info time"),
        Right((keys.COMMANDS,), "xadd xinfo|groups xinfo|stream xlen xpending xrange"),
        Right((keys.EVENTS,), "xinfo|stream xrange xread"),
        Right((keys.DEAD,), "xinfo|stream"),
        Right((keys.LEASE, keys.IN_HAND, INBOXES), "exists"),
        Right((keys.LINE,), "get"),
        Right((keys.NOWHERE,), "xadd"),
        Right((keys.DAMAGED,), "hlen hsetnx"),
        Right((keys.TIMES,), "hget"),
        Right((keys.METRICS, keys.COUNTS, keys.WORKERS), "hgetall"),
        Right((keys.DEADLINES,), "zcard zrange"),
        Right((*QUEUES, f"{keys.CELERY}{keys.QUEUE_MAIL}"), "llen"),
        Right((f"{keys.CELERY}unacked",), "hlen"),
        Right((ECHOES,), "get"),
        Right((ONCE,), "get set"),
        Right((keys.COMMANDS, ONCE), "eval"),
    ),
    Role.DISPATCHER: (
        _BASE,
        Right((), "client|list client|setname exec script|load time"),
        Right((keys.LEASE,), "del get pexpire set"),
        Right(
            (keys.COMMANDS,),
            "xack xadd xclaim xgroup|create xinfo|groups xinfo|stream xpending xrange xread "
            "xreadgroup xtrim",
        ),
        Right((keys.DEAD,), "xadd"),
        Right((keys.TIMES,), "hdel hget hkeys hmget hset"),
        Right((keys.DEADLINES,), "zadd zmscore zrange zrem zscore"),
        Right((keys.DAMAGED,), "hdel hgetall hset hsetnx"),
        Right((keys.IN_HAND,), "del exists set"),
        Right((keys.METRICS,), "hincrby"),
        Right((keys.NOWHERE,), "del"),
        Right((keys.LINE,), "del set"),
        Right((keys.RING_AGAIN,), "getdel set"),
        Right((INBOXES,), "exists hsetnx"),
        Right(QUEUES, "llen lpush"),
        Right(
            (
                *(keys.LEASE, keys.COMMANDS, keys.DEAD, keys.TIMES, keys.DEADLINES),
                *(keys.IN_HAND, keys.NOWHERE, INBOXES, *QUEUES),
            ),
            "evalsha",
        ),
    ),
    Role.WORKER: (
        _BASE,
        Right((), "exec punsubscribe script|exists script|load time unwatch"),
        Right((keys.COMMANDS,), "xack xclaim xinfo|groups xpending xrange"),
        Right((keys.DEAD,), "xadd"),
        Right((keys.EVENTS,), "xadd xrange xrevrange"),
        Right((keys.COUNTS,), "hgetall hincrby"),
        Right((keys.METRICS,), "hincrby"),
        Right((keys.WORKERS,), "evalsha hdel hgetall hset pexpire"),
        Right((keys.DEADLINES,), "zadd zrem"),
        Right((keys.TIMES,), "hdel hget hset"),
        Right((keys.DAMAGED,), "hsetnx"),
        Right((keys.IN_HAND,), "exists"),
        Right((keys.RING_AGAIN,), "set"),
        Right((INBOXES,), "hdel hget hgetall"),
        Right((ATTEMPTS,), "del expire hdel hget hincrby hset incr set"),
        Right((ECHOES,), "get pexpire set"),
        Right(
            (keys.COMMANDS, keys.DEAD, keys.TIMES, keys.METRICS, INBOXES, ATTEMPTS, ECHOES),
            "evalsha",
        ),
        Right((), "psubscribe", channels=(CONTROL,)),
        Right(
            (CELERYS,),
            "brpop del evalsha exists get hdel hget hset llen lpush pexpire rpush sadd set "
            "smembers srem watch zadd zrange zrangebyscore zrem",
        ),
    ),
    Role.PRODUCER: (
        _BASE,
        Right((keys.COMMANDS,), "xadd"),
    ),
    Role.AUDITOR: (
        _BASE,
        Right((), "exec time"),
        Right((keys.COMMANDS, keys.EVENTS, keys.DEAD), _STREAM),
        Right((keys.DEADLINES,), "memory|usage zcard zrange zscore"),
        Right((keys.COUNTS, keys.TIMES, keys.DAMAGED, INBOXES), "exists hget hgetall hlen"),
        Right((keys.LEASE, keys.IN_HAND), "exists get"),
    ),
    Role.OPERATOR: (
        _BASE,
        Right((), "script|load"),
        Right((keys.DEAD,), "xdel xrange"),
        Right((keys.COMMANDS,), "xadd"),
        Right((keys.TIMES,), "hset"),
        Right((keys.DEAD, keys.COMMANDS, keys.TIMES), "evalsha"),
    ),
}
