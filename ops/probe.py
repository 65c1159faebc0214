"""
Probe: ask a server what a role may do there, without doing any of it.

Each command is sent inside a transaction, where Redis refuses what the user may not and queues what
he may, and the connection is closed before anything is executed. That needs no right to see the
rules themselves.

Source: https://redis.io/docs/latest/develop/using-commands/transactions/#errors-inside-a-transaction
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import redis.exceptions

from ops import logins
from ops.roles import ROLES, Right, Role
from ops.settings import Settings

#: What follows each command's name; ``K`` stands for a key. The number of words has to be right,
#: and the key's place.
WORDS = {
    "acl|list": "",
    "config|get": "maxmemory",
    "keys": "*",
    "publish": "K x",
    "scan": "0",
    "brpop": "K 1",
    "client|list": "",
    "client|setname": "x",
    "del": "K",
    "eval": "0 1 K",
    "evalsha": "0 1 K",
    "exists": "K",
    "expire": "K 1",
    "get": "K",
    "getdel": "K",
    "hdel": "K x",
    "hget": "K x",
    "hgetall": "K",
    "hincrby": "K x 1",
    "hkeys": "K",
    "hlen": "K",
    "hmget": "K x",
    "hset": "K x x",
    "hsetnx": "K x x",
    "incr": "K",
    "info": "",
    "llen": "K",
    "lpush": "K x",
    "memory|usage": "K",
    "pexpire": "K 1",
    "ping": "",
    "psubscribe": "K",
    "punsubscribe": "x",
    "rpush": "K x",
    "sadd": "K x",
    "script|exists": "x",
    "script|load": "0",
    "select": "0",
    "set": "K x",
    "smembers": "K",
    "srem": "K x",
    "time": "",
    "unwatch": "",
    "xack": "K x 0",
    "xadd": "K * x x",
    "xclaim": "K x x 0 0",
    "xdel": "K 0",
    "xgroup|create": "K x 0",
    "xinfo|groups": "K",
    "xinfo|stream": "K",
    "xlen": "K",
    "xpending": "K x",
    "xrange": "K - +",
    "xread": "STREAMS K 0",
    "xreadgroup": "GROUP x x STREAMS K 0",
    "xrevrange": "K + -",
    "xtrim": "K MINID 0",
    "zadd": "K 0 x",
    "zcard": "K",
    "zmscore": "K x",
    "zrange": "K 0 0",
    "zrangebyscore": "K 0 0",
    "zrem": "K x",
    "zscore": "K x",
}
#: A key that no role of ours may touch.
NOT_OURS = "others:key"
#: What begins, ends or precedes a transaction is not asked about in one.
OUTSIDE = frozenset({"multi", "exec", "watch"})


@dataclass(frozen=True, slots=True)
class Call:
    """A command with a key of those that it is asked about; empty where it names none."""

    command: str
    key: str

    def __str__(self) -> str:
        """Say it as Redis' own documentation does."""
        return f"{self.command.upper().replace('|', ' ')} {self.key}".rstrip()

    def words(self) -> list[str]:
        """Write it as it is sent."""
        following = WORDS[self.command].split()
        return [*self.command.split("|"), *(self.key if w == "K" else w for w in following)]


def needs(role: Role) -> list[Call]:
    """List all that a role may, and therefore has to be able to, do."""
    return [call for right in ROLES[role] for call in _calls(right)]


def may(role: Role, call: Call) -> bool:
    """Whether the table gives a role that right."""
    return any(
        call.command in right.commands.split()
        and any(fnmatchcase(call.key, name) for name in (*right.keys, *right.channels) or ("",))
        for right in ROLES[role]
    )


def everything() -> list[Call]:
    """List each command that any role may use, with each key that any may touch, and some more."""
    names = {key for rights in ROLES.values() for right in rights for key in right.keys}
    examples = [NOT_OURS, *sorted(name.replace("*", "x") for name in names)]
    with_key = [command for command, words in WORDS.items() if "K" in words.split()]
    return [
        *(Call(command, "") for command in WORDS if command not in with_key),
        *(Call(command, key) for command in with_key for key in examples),
    ]


def refused(settings: Settings, role: Role, calls: list[Call]) -> list[Call]:
    """
    Log in as a role, and list those calls that it is refused.

    Raises:
        redis.exceptions.RedisError: The server does not answer, or does not let it in.
    """
    with logins.connect(settings, role) as client:
        return _asked(client.connection_pool.get_connection(), calls)


def _asked(connection: Any, calls: list[Call]) -> list[Call]:
    """Ask within a transaction that is never executed: the connection is closed."""
    try:
        connection.send_command("MULTI")
        if not _is_allowed(connection):  # nothing more may be sent: it would be done
            return [Call("multi", ""), *calls]
        commands = [call.words() for call in calls]
        connection.send_packed_command(connection.pack_commands(commands))
        return [call for call in calls if not _is_allowed(connection)]
    finally:
        connection.disconnect()


def _is_allowed(connection: Any) -> bool:
    try:
        connection.read_response()
    except redis.exceptions.NoPermissionError:
        return False
    return True


def _calls(right: Right) -> Iterator[Call]:
    commands = [one for one in right.commands.split() if one not in OUTSIDE]
    for command in commands:
        for key in right.keys or right.channels or ("",):
            yield Call(command, key.replace("*", "x"))
