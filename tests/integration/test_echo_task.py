"""An echo's claim: one task at a time, kept alive while it sleeps."""

import pytest
from support.client import Client

from ops import keys
from ops.log import printable
from tasks import slow
from tasks.slow import ClaimLost


@pytest.fixture
def entry(client: Client) -> str:
    """An echo that the dispatcher has read."""
    client.xgroup_create(keys.COMMANDS, keys.GROUP, id="0", mkstream=True)
    entry = client.xadd(keys.COMMANDS, {"type": "echo", "data": '{"text":"hi"}'})
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"})
    return str(entry, "ascii")


def test_one_claim(client: Client, entry: str) -> None:
    """Of two tasks for one echo one gets it."""
    assert slow.claim(client, entry, token="first")

    assert not slow.claim(client, entry, token="second")


def test_claim_runs_out(client: Client, entry: str) -> None:
    """A dead task's claim is gone before its entry is delivered again."""
    slow.claim(client, entry, token="dead")

    assert 0 < client.pttl(keys.echo(entry)) < 5_000


def test_renewed(client: Client, entry: str) -> None:
    """A sleeping echo's entry looks fresh to the dispatcher, and was delivered once."""
    slow.claim(client, entry, token="me")
    client.xclaim(keys.COMMANDS, keys.GROUP, keys.CONSUMER, 0, [entry], idle=60_000, retrycount=1)

    slow.renew(client, entry, token="me")

    [found] = client.xpending_range(keys.COMMANDS, keys.GROUP, min="-", max="+", count=1)
    assert found["time_since_delivered"] < 1_000
    assert 1 == found["times_delivered"]


@pytest.mark.parametrize("holder", ["other", None])
def test_claim_lost(client: Client, entry: str, holder: str | None) -> None:
    """A task that slept for too long finds out before it prints."""
    if holder:
        slow.claim(client, entry, token=holder)

    with pytest.raises(ClaimLost):
        slow.sleep_and_renew(client, entry, token="me", delay_s=0.01)


def test_done(client: Client, entry: str) -> None:
    """A finished echo is acknowledged, remembered for a day, and never claimed again."""
    slow.claim(client, entry, token="me")

    slow.settle(client, entry)

    assert not slow.claim(client, entry, token="again")
    assert 0 == client.xpending(keys.COMMANDS, keys.GROUP)["pending"]
    assert 3_600 < client.ttl(keys.echo(entry)) <= slow.DONE_S


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
