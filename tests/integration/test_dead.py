"""Dead letters: found, put back with the time at which they came, given up."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.client import Client
from support.desks import Desks
from support.log_lines import faults, read
from support.users import variables

from ops import keys, trace
from ops.settings import Settings
from tasks import dead, inbox

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LETTER = {"type": "exam.finish", "data": '{"pk":"a","status":"pass"}'}


def run(server: Settings, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run ``invigil dead``."""
    env = {**os.environ, **variables(server.redis), "INVIGIL_DATA": str(folder)}
    argv = [sys.executable, "-m", "ops.cli", "dead", *arguments]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)


def logged(folder: Path) -> list[dict[str, Any]]:
    """Lines of the tool's log, but for those about the log itself; all are of known kinds."""
    assert {} == faults(folder / "logs")
    return [line for line in read(folder / "logs") if not line["event"].startswith("log_")]


def absent_with_a_dead_result(desks: Desks) -> tuple[str, str]:
    """
    Make an exam that was marked absent although a result had come in time: it was buried.

    Returns the result's entry, and the letter.
    """
    now_ms = desks.client.time()[0] * 1000 - 60_000
    desks.push("exam.start", f"{now_ms}-0", pk="a", duration=5)
    result = desks.push("exam.finish", f"{now_ms + 5_000}-0", pk="a", status="pass")
    desks.dispatch()
    letter = desks.bury(result)
    desks.apply()
    desks.dispatch()
    desks.dispatch()
    desks.apply()
    assert "absent" == desks.document()["status"]
    return result, letter


def test_replay_counts_as_it_came(desks: Desks, server: Settings, tmp_path: Path) -> None:
    """A result that came in time and was buried corrects the exam when it is put back."""
    entry, letter = absent_with_a_dead_result(desks)

    done = run(server, tmp_path, "replay", letter, "--reason", "fixed", "--by", "ann")
    desks.dispatch()
    desks.apply()

    assert (0, "1 replayed\n") == (done.returncode, done.stdout)
    document = desks.document()
    assert "pass" == document["status"]
    record = document["history"][-1]
    assert ("corrected", entry) == (record["verdict"], record["command"])
    assert document["deadline"] == record["at"]
    [line] = logged(tmp_path)
    said = [line[name] for name in ("event", "by", "why", "entry", "new_entry", "pk")]
    assert ["replayed", "ann", "fixed", entry, record["entry"], "a"] == said
    assert 0 == desks.client.xlen(keys.DEAD)
    came_ms = entry.encode().partition(b"-")[0]
    times = {entry.encode(): keys.BURIED.encode(), record["entry"].encode(): came_ms}
    assert times == desks.client.hgetall(keys.TIMES)


def test_replay_happens_once(desks: Desks, client: Client) -> None:
    """A letter that is put back is gone; its entry, buried again, keeps its first time."""
    entry, letter = absent_with_a_dead_result(desks)
    new = dead.replay(client, letter)

    assert None is dead.replay(client, letter)

    assert new
    desks.dispatch()
    again = desks.bury(new)
    [(_, fields)] = client.xrange(keys.DEAD, again, again)
    assert entry.partition("-")[0] == fields[b"at"].decode()
    assert entry == fields[b"field:id"].decode()


def test_buried_before_it_was_placed(desks: Desks, client: Client) -> None:
    """What was dead, and is buried at the dispatcher's door, keeps its time and leaves no key."""
    entry = desks.push("no.such.type", "1000-0")
    desks.dispatch()
    [(letter, _)] = client.xrange(keys.DEAD)

    dead.replay(client, letter.decode())
    desks.dispatch()

    [(_, fields)] = client.xrange(keys.DEAD)
    assert (b"1000", entry.encode()) == (fields[b"at"], fields[b"field:id"])
    assert not client.exists(keys.TIMES)


@pytest.mark.parametrize("given", [TRACEPARENT, ""])
def test_trace_is_kept(
    desks: Desks, client: Client, server: Settings, tmp_path: Path, given: str
) -> None:
    """What is put back goes on with the trace it had: its own, or that of its first entry."""
    named = {"traceparent": given} if given else {}
    entry = str(client.xadd(keys.COMMANDS, {**LETTER, **named}), "ascii")
    desks.dispatch()
    trace_id = given[3:35] or trace.derived(entry).trace_id

    assert 0 == run(server, tmp_path, "replay", desks.bury(entry), "--reason", "x").returncode
    desks.dispatch()

    assert [trace_id] == [line["trace_id"] for line in logged(tmp_path)]
    assert [trace_id] == [one.trace_id for one in inbox.read(client, "a").traces.values()]


def test_echo_comes_back(desks: Desks, client: Client) -> None:
    """An echo that is put back leaves no key behind either."""
    entry = desks.push("echo", text="hi")
    desks.dispatch()
    letter = desks.bury(entry, pk=None)

    assert dead.replay(client, letter)
    desks.dispatch()

    assert not client.exists(keys.TIMES)
    assert 1 == client.xpending(keys.COMMANDS, keys.GROUP)["pending"]


def test_nobody_can_claim_a_time(desks: Desks, client: Client) -> None:
    """Fields that look like ours, in an entry or a letter, move no command into the past."""
    forged = {**LETTER, "at": "1000", "entry": "1000-0", "field:at": "1000"}
    desks.push("exam.start", pk="a", duration=1)
    entry = str(client.xadd(keys.COMMANDS, forged), "ascii")
    desks.dispatch()
    letter = desks.bury(entry)

    dead.replay(client, letter)
    desks.dispatch()

    [text] = [text for text in client.hvals(keys.inbox("a")) if b"exam.finish" in text]
    assert entry.partition("-")[0] == text.decode().partition(" ")[0]


def test_list_and_show(desks: Desks, server: Settings, tmp_path: Path) -> None:
    """A letter is found by exam, type and reason; hostile text does not reach the terminal."""
    hostile = {"type": "\x1b[2J", "data": "\n"}
    desks.client.xadd(keys.COMMANDS, hostile)
    entry = desks.push("exam.finish", pk="a", status="pass")
    desks.dispatch()
    letter = desks.bury(entry)

    listed = run(server, tmp_path, "list")
    assert 2 == len(listed.stdout.splitlines())
    assert "\x1b" not in listed.stdout
    for chosen in (["--pk", "a"], ["--type", "exam.finish"], ["--matching", "FAILED 5"]):
        [line] = run(server, tmp_path, "list", *chosen).stdout.splitlines()
        assert line.startswith(letter)
    [text] = run(server, tmp_path, "list", "--limit", "1", "--json").stdout.splitlines()
    assert {"type": "exam.finish", "data": '{"pk": "a", "status": "pass"}'} == json.loads(text)[
        "fields"
    ]
    assert f"entry: {entry}" in run(server, tmp_path, "show", letter).stdout
    assert 1 == run(server, tmp_path, "show", "1-0").returncode


def test_not_replayed(desks: Desks, server: Settings, tmp_path: Path) -> None:
    """What is no command stays where it is, and is said; the others go."""
    desks.push("no.such.type")
    entry = desks.push("exam.start", pk="a")
    desks.dispatch()
    desks.bury(entry)

    done = run(server, tmp_path, "replay", "--all", "--reason", "try")

    assert (1, "1 replayed\n") == (done.returncode, done.stdout)
    assert "no.such.type" in done.stderr
    assert 1 == desks.client.xlen(keys.DEAD)


def test_discard(desks: Desks, server: Settings, tmp_path: Path) -> None:
    """A letter given up is gone, and the log has all of it."""
    desks.push("no.such.type", pk="a")
    desks.dispatch()

    dry = run(server, tmp_path, "discard", "--all", "--dry-run")
    assert 1 == desks.client.xlen(keys.DEAD)
    done = run(server, tmp_path, "discard", "--pk", "a", "--reason", "a scanner's")

    assert dry.stdout.endswith("1 would be discarded\n")
    assert (0, "1 discarded\n") == (done.returncode, done.stdout)
    assert 0 == desks.client.xlen(keys.DEAD)
    [line] = logged(tmp_path)
    assert {"type": "no.such.type", "data": '{"pk": "a"}'} == line["fields"]
    assert ("discarded", "a scanner's") == (line["event"], line["why"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "--reason", "why"], "--all"),
        (["replay", "--all"], "--reason"),
        (["discard", "--all", "--reason", " "], "--reason"),
    ],
)
def test_misused(
    client: Client, server: Settings, tmp_path: Path, arguments: list[str], said: str
) -> None:
    """Nothing is done without a choice and a reason."""
    done = run(server, tmp_path, *arguments)

    assert 2 == done.returncode
    assert said in done.stderr


def test_redis_away(server: Settings, tmp_path: Path) -> None:
    """A server that does not answer is named in one line."""
    away = server.model_copy(update={"redis_url": "redis://127.0.0.1:1"})

    done = run(away, tmp_path, "list")

    assert 1 == done.returncode
    assert "redis://127.0.0.1:1 does not answer" in done.stderr
    assert "Traceback" not in done.stderr
