"""Many commands in one step, however many there are: as with MULTI, but for what fails at once."""

from typing import Any

import pytest
import redis.exceptions
from redis import Redis
from support.users import as_worker

from ops import keys
from ops.connect import is_away
from tasks.transaction import MOST_WORDS, Transaction

#: More than Lua has room for in one call.
MANY = 20_000


def test_every_kind(client: Redis) -> None:
    """Each command does what its name says."""
    client.hset(keys.inbox("a"), mapping={"1-1": "x", "2-1": "y"})
    client.hset(keys.attempts("a"), "all", "1")
    client.zadd(keys.DEADLINES, {"gone": 1})
    entry: Any = client.xadd(keys.COMMANDS, {"type": "x"})
    client.xgroup_create(keys.COMMANDS, keys.GROUP, id="0")
    client.xreadgroup(keys.GROUP, "c", {keys.COMMANDS: ">"})
    books = Transaction(as_worker(client))

    books.zadd(keys.DEADLINES, {"a": 1_795_817_474_674})
    books.zrem(keys.DEADLINES, "gone")
    books.xadd(keys.EVENTS, {"type": "t", "data": 'ä"\x00\n'}, maxlen=10)
    books.xack(keys.COMMANDS, keys.GROUP, entry.decode())
    books.hdel(keys.inbox("a"), "1-1")
    books.hincrby(keys.COUNTS, "started", 3)
    books.delete(keys.attempts("a"))
    books.execute()

    assert client.zrange(keys.DEADLINES, 0, -1, withscores=True) == [(b"a", 1_795_817_474_674.0)]
    assert [fields for _, fields in client.xrange(keys.EVENTS)] == [  # type: ignore[union-attr]
        {b"type": b"t", b"data": 'ä"\x00\n'.encode()}
    ]
    assert client.xpending(keys.COMMANDS, keys.GROUP)["pending"] == 0
    assert client.hgetall(keys.inbox("a")) == {b"2-1": b"y"}
    assert client.hget(keys.COUNTS, "started") == b"3"
    assert not client.exists(keys.attempts("a"))


def test_more_than_lua_takes(client: Redis) -> None:
    """A command of any length is done whole."""
    names = [f"{number}-1" for number in range(MANY)]
    client.hset(keys.inbox("a"), mapping=dict.fromkeys(names, "x"))
    books = Transaction(as_worker(client))

    books.hdel(keys.inbox("a"), *names)
    books.zadd(keys.DEADLINES, {f"exam-{number}": number for number in range(MANY)})
    books.zrem(keys.DEADLINES, *(f"exam-{number}" for number in range(MOST_WORDS, MANY)))
    books.execute()

    assert not client.exists(keys.inbox("a"))
    assert client.zcard(keys.DEADLINES) == MOST_WORDS


def test_goes_on_behind_an_error(client: Redis) -> None:
    """Where a key is of another type the others are done, and the first error is raised."""
    client.set(keys.EVENTS, "no stream")
    books = Transaction(as_worker(client))

    books.hincrby(keys.COUNTS, "a", 1)
    books.xadd(keys.EVENTS, {"type": "t"}, maxlen=10)
    books.hincrby(keys.COUNTS, "b", 1)
    with pytest.raises(redis.exceptions.ResponseError, match="WRONGTYPE"):
        books.execute()

    assert client.hgetall(keys.COUNTS) == {b"a": b"1", b"b": b"1"}


@pytest.mark.parametrize("broken", ["memory", "right"])
def test_all_or_nothing(client: Redis, broken: str) -> None:
    """Where Redis refuses to take more, or forbids a part, nothing comes to its end."""
    worker = as_worker(client)
    client.hset(keys.inbox("a"), "1-1", "x")
    books = Transaction(worker)
    books.zadd(keys.DEADLINES if broken == "memory" else "of somebody else", {"a": 1})
    books.hdel(keys.inbox("a"), "1-1")
    Transaction(worker).execute()  # it is known there
    try:
        client.config_set("maxmemory", 1 if broken == "memory" else 0)
        with pytest.raises(redis.exceptions.RedisError) as raised:
            books.execute()
    finally:
        client.config_set("maxmemory", 0)

    assert is_away(raised.value)
    assert client.hgetall(keys.inbox("a")) == {b"1-1": b"x"}
    assert not client.exists(keys.DEADLINES)


def test_nothing(client: Redis) -> None:
    """Without words, or commands, nothing is done."""
    books = Transaction(as_worker(client))
    books.hdel("any")
    books.zadd("any", {})

    books.execute()

    assert not client.keys()
