"""An echo's claim: one task at a time, kept alive while it sleeps."""

from typing import Any

import pytest
from support.client import Client

from dispatcher.stream import IDLE_MS
from ops import keys
from ops.log import printable
from tasks import slow
from tasks.slow import Claim, ClaimLost


@pytest.fixture
def entry(client: Client) -> str:
    """An echo that the dispatcher has read."""
    client.xgroup_create(keys.COMMANDS, keys.GROUP, id="0", mkstream=True)
    return push(client)


def push(client: Client) -> str:
    """Push an echo and read it, as the dispatcher does."""
    entry = client.xadd(keys.COMMANDS, {"type": "echo", "data": '{"text":"hi"}'})
    client.xreadgroup(keys.GROUP, keys.SLOW_CONSUMER, {keys.COMMANDS: ">"})
    return str(entry, "ascii")


def claim(entry: str, token: str) -> Claim:
    """One task's claim to the echo with the command id ``c``."""
    return Claim(entry=entry, key=keys.echo(None, "c"), token=token)


def test_one_claim(client: Client, entry: str) -> None:
    """Of two tasks for one echo one gets it."""
    assert slow.take(client, claim(entry, "first"))

    assert not slow.take(client, claim(entry, "second"))


def test_claim_runs_out(client: Client, entry: str) -> None:
    """A dead task's claim is gone before its entry is delivered again."""
    dead = claim(entry, "dead")
    slow.take(client, dead)

    assert 0 < client.pttl(dead.key) < IDLE_MS


def test_renewed(client: Client, entry: str) -> None:
    """A sleeping echo's entry looks fresh to the dispatcher, and was delivered once."""
    slow.take(client, claim(entry, "me"))
    consumer = keys.SLOW_CONSUMER
    client.xclaim(keys.COMMANDS, keys.GROUP, consumer, 0, [entry], idle=60_000, retrycount=1)

    slow.renew(client, claim(entry, "me"))

    found: Any
    [found] = client.xpending_range(keys.COMMANDS, keys.GROUP, min="-", max="+", count=1)
    assert found["time_since_delivered"] < 1_000
    assert 1 == found["times_delivered"]


@pytest.mark.parametrize("holder", ["other", None])
def test_claim_lost(client: Client, entry: str, holder: str | None) -> None:
    """A task that slept for too long finds out before it prints."""
    if holder:
        slow.take(client, claim(entry, holder))

    with pytest.raises(ClaimLost):
        slow.sleep_and_renew(client, claim(entry, "me"), delay_s=0.01)


def test_done(client: Client, entry: str) -> None:
    """A finished echo is acknowledged, remembered for a day, and never taken again."""
    mine = claim(entry, "me")
    slow.take(client, mine)

    slow.settle(client, mine)

    assert not slow.take(client, claim(entry, "again"))
    assert 0 == client.xpending(keys.COMMANDS, keys.GROUP)["pending"]
    assert 3_600 < client.ttl(mine.key) <= slow.DONE_S


def test_second_entry_of_a_done_echo(client: Client, entry: str) -> None:
    """The same command in a second entry is acknowledged, and not printed again."""
    slow.take(client, claim(entry, "me"))
    slow.settle(client, claim(entry, "me"))
    second = push(client)

    assert not slow.take(client, claim(second, "you"))
    assert 0 == client.xpending(keys.COMMANDS, keys.GROUP)["pending"]


def test_sources_have_ids_of_their_own() -> None:
    """Two producers' commands of the same id are two echoes."""
    names = {keys.echo(s, c) for s, c in [("a", "c"), ("b", "c"), ("a:b", "c"), ("a", "b:c")]}

    assert 5 == len({*names, keys.echo(None, "c")})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hello", "hello"),
        ("Zoë 你好", "Zoë 你好"),
        ("a\nb\x1b[31m", r"a\nb\x1b[31m"),
        ("\0", r"\x00"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    """A text is one line of the console, whatever it holds."""
    assert shown == printable(text)
