"""Transaction: many commands that Redis does in one step, sent as one argument."""

from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec
from redis import Redis

from ops.portions import portions
from tasks.scripts import script

#: Words of one command, at most; Lua has no room for more than some 8,000.
MOST_WORDS = 1_000


class Transaction:
    """
    Commands as redis-py's pipeline has them, by the same names; the few that are needed.

    For hundreds of small commands MULTI costs its sender more than the work that they are about:
    each is written, and answered, by itself. Here is one text for all of them, and one answer.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._commands: list[Sequence[str]] = []

    def zadd(self, name: str, mapping: Mapping[str, int]) -> None:
        """Put members into a sorted set, by their scores."""
        pairs = iter(mapping.items())
        while some := list(islice(pairs, MOST_WORDS // 2)):
            self._add("ZADD", name, *(word for pk, at in some for word in (str(at), pk)))

    def zrem(self, name: str, *members: str) -> None:
        """Take members out of a sorted set."""
        for some in portions(members, MOST_WORDS):
            self._add("ZREM", name, *some)

    def xadd(self, name: str, fields: Mapping[str, str], *, maxlen: int) -> None:
        """Add to a stream, which keeps about so many entries."""
        words = [word for pair in fields.items() for word in pair]
        self._add("XADD", name, "MAXLEN", "~", str(maxlen), "*", *words)

    def xack(self, name: str, group: str, *entries: str) -> None:
        """Acknowledge entries."""
        for some in portions(entries, MOST_WORDS):
            self._add("XACK", name, group, *some)

    def hdel(self, name: str, *fields: str) -> None:
        """Take fields out of a hash."""
        for some in portions(fields, MOST_WORDS):
            self._add("HDEL", name, *some)

    def hincrby(self, name: str, field: str, number: int) -> None:
        """Add to a number in a hash."""
        self._add("HINCRBY", name, field, str(number))

    def delete(self, *names: str) -> None:
        """Delete keys."""
        for some in portions(names, MOST_WORDS):
            self._add("DEL", *some)

    def execute(self) -> None:
        """
        Have all of it done.

        Raises:
            redis.exceptions.RedisError: Redis takes nothing at present, and did nothing; or one was
                forbidden, and those behind it were not done; or a key was of another type, and all
                others were done; or there was no answer, and nobody knows.
        """
        script(self._redis, "transaction.lua")(args=[msgspec.msgpack.encode(self._commands)])

    def _add(self, *words: str) -> None:
        self._commands.append(words)
