"""An echo's claim: one task at a time, kept alive while it sleeps, and printed once."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from support.client import Client
from support.users import as_worker, variables

from dispatcher.stream import IDLE_MS
from ops import keys
from ops.log import printable
from ops.settings import Settings
from tasks import claims, slow
from tasks.claims import Claim, ClaimLost, Outcome

#: One run of the task, as a worker runs it. %s: what breaks.
RUN = """
import os, signal
from tasks import claims, slow
%s
entry, text = os.environ["ENTRY"], os.environ["TEXT"]
slow.echo.apply(kwargs=dict(entry=entry, command_id="c", source=None, text=text, delay=0))
"""
DIE = "lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)"


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


def claim(entry: str, token: str, *, digest: str = "d") -> Claim:
    """One task's claim to the echo with the command id ``c``."""
    return Claim(key=keys.echo(None, "c"), entry=entry, token=token, digest=digest)


def pending(client: Client) -> int:
    """How many entries nobody has done with."""
    return int(client.xpending(keys.COMMANDS, keys.GROUP)["pending"])


def run(server: Settings, entry: str, *, text: str = "hi", breaking: str = "") -> tuple[int, str]:
    """Run the task in a process of its own; return its exit status and what it printed."""
    env = {**os.environ, **variables(server.redis), "ENTRY": entry, "TEXT": text}
    done = subprocess.run(
        [sys.executable, "-c", RUN % breaking], env=env, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("echo: ")]
    return done.returncode, "\n".join(lines)


def test_one_claim(client: Client, entry: str) -> None:
    """Of two tasks for one echo one gets it."""
    assert Outcome.TAKEN == claims.take(as_worker(client), claim(entry, "first"))

    assert Outcome.BUSY == claims.take(as_worker(client), claim(entry, "second"))


def test_claim_runs_out(client: Client, entry: str) -> None:
    """A dead task's claim is gone before its entry is delivered again."""
    dead = claim(entry, "dead")
    claims.take(as_worker(client), dead)

    assert 0 < client.pttl(dead.key) < IDLE_MS


def test_renewed(client: Client, entry: str) -> None:
    """A sleeping echo's entry looks fresh to the dispatcher, and was delivered once."""
    claims.take(as_worker(client), claim(entry, "me"))
    consumer = keys.SLOW_CONSUMER
    client.xclaim(keys.COMMANDS, keys.GROUP, consumer, 0, [entry], idle=60_000, retrycount=1)

    claims.renew(as_worker(client), claim(entry, "me"))

    found: Any
    [found] = client.xpending_range(keys.COMMANDS, keys.GROUP, min="-", max="+", count=1)
    assert found["time_since_delivered"] < 1_000
    assert 1 == found["times_delivered"]


@pytest.mark.parametrize("holder", ["other", None])
def test_claim_lost(client: Client, entry: str, holder: str | None) -> None:
    """A task that slept for too long finds out before it prints."""
    if holder:
        claims.take(as_worker(client), claim(entry, holder))

    with pytest.raises(ClaimLost):
        slow.sleep_and_renew(client, claim(entry, "me"), delay_s=0.01)
    with pytest.raises(ClaimLost):
        claims.begin_printing(as_worker(client), claim(entry, "me"), at_ms=1)


def test_done(client: Client, entry: str) -> None:
    """A finished echo is acknowledged, remembered for a day, and never taken again."""
    mine = claim(entry, "me")
    claims.take(as_worker(client), mine)

    claims.settle(as_worker(client), mine)

    assert Outcome.DONE == claims.take(as_worker(client), claim(entry, "again"))
    assert 0 == pending(client)
    assert 3_600 < client.ttl(mine.key) <= claims.KEPT_S


def test_lost_answers(client: Client, entry: str) -> None:
    """The notes before and after the print may be sent twice."""
    mine = claim(entry, "me")
    claims.take(as_worker(client), mine)

    for _ in range(2):
        claims.begin_printing(as_worker(client), mine, at_ms=1)
    for _ in range(2):
        claims.settle(as_worker(client), mine)

    assert Outcome.DONE == claims.take(as_worker(client), mine)


def test_printed_once(client: Client, entry: str, server: Settings) -> None:
    """An echo that is run again, in its own entry or another of its command, is silent."""
    assert (0, "echo: hi") == run(server, entry)

    assert (0, "") == run(server, entry)
    assert (0, "") == run(server, push(client))
    assert 0 == pending(client)


def test_conflict(client: Client, entry: str, server: Settings) -> None:
    """The same id with another text is refused: acknowledged and not printed."""
    run(server, entry)

    assert (0, "") == run(server, push(client), text="other")
    assert 0 == pending(client)


def test_killed_before_the_print(client: Client, entry: str, server: Settings) -> None:
    """A worker killed before it prints leaves an echo that the next one prints."""
    status, said = run(server, entry, breaking=f"claims.begin_printing = {DIE}")
    assert (-signal.SIGKILL, "") == (status, said)
    client.delete(keys.echo(None, "c"))  # the claim of the dead has run out

    assert (0, "echo: hi") == run(server, entry)
    assert 0 == pending(client)


def test_killed_after_the_print(client: Client, entry: str, server: Settings) -> None:
    """A worker killed between the print and its note leaves an echo that nobody prints again."""
    status, said = run(server, entry, breaking=f"claims.settle = {DIE}")
    assert (-signal.SIGKILL, "echo: hi") == (status, said)

    assert (0, "") == run(server, entry)
    assert 1 == pending(client), "whoever prints may be alive, and Redis may have been away"

    assert (0, "") == run(server, entry, breaking="claims.PRINTING_MS = -2_000")
    assert 0 == pending(client)
    [(_, letter)] = client.xrange(keys.DEAD)
    assert (entry, Outcome.UNCERTAIN) == (letter[b"entry"].decode(), letter[b"reason"].decode())


def test_raises_every_time(client: Client, entry: str, server: Settings) -> None:
    """An echo that fails for a reason nobody expected is buried after five attempts."""
    raising = "def fail(*_): raise ZeroDivisionError('boom')\nslow.printable = fail"
    for attempt in range(1, 6):
        client.delete(keys.echo(None, "c"))
        assert 1 == pending(client), f"before attempt {attempt}"
        run(server, entry, breaking=raising)

    assert 0 == pending(client)
    [(_, letter)] = client.xrange(keys.DEAD)
    assert b"ZeroDivisionError" in letter[b"reason"]
    assert not client.exists(keys.attempts(slow.ECHOES))


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
