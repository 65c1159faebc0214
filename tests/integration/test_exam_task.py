"""What a bell does: from an inbox to the file, and the books in Redis."""

import json
from pathlib import Path

import pytest
from support.client import Client

from filestore.document import Damaged
from filestore.exam import transition
from filestore.fact import Status, Type
from filestore.store import Store
from ops import keys
from tasks import inbox
from tasks.exam import answer
from tasks.inbox import Letter


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty file store."""
    store = Store(tmp_path)
    store.prepare()
    return store


@pytest.fixture(autouse=True)
def group(client: Client) -> None:
    """The stream and its group, empty."""
    client.xgroup_create(keys.COMMANDS, keys.GROUP, id="0", mkstream=True)


def deliver(
    client: Client, kind: Type, value: int | str, *, at_ms: int, command: str = "", pk: str = "a"
) -> str:
    """Put a pending entry's letter into the inbox, as the dispatcher does."""
    entry = str(client.xadd(keys.COMMANDS, {"type": kind, "data": "{}"}), "ascii")
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"})
    letter = Letter(
        pk=pk, entry=entry, command=command or entry, source=None, type=kind, value=value
    )
    client.hset(keys.inbox(pk), entry, f"{at_ms} {inbox.encode(letter)}")
    return entry


def ring(
    client: Client, store: Store, pk: str = "a", *, orphan_after_s: int = 10**10
) -> Status | None:
    """Answer the exam's bell and say where the exam stands on disk."""
    answer(pk, redis=client, store=store, orphan_after_s=orphan_after_s)
    exam = store.load(pk)
    return exam.standing.status if exam else None


def pending(client: Client) -> int:
    """Count the entries that were read and not acknowledged."""
    return int(client.xpending(keys.COMMANDS, keys.GROUP)["pending"])


def events(client: Client) -> list[str]:
    """Read the types of the events so far."""
    return [fields[b"type"].decode() for _, fields in client.xrange(keys.EVENTS)]


def test_start(client: Client, store: Store) -> None:
    """A start is on disk, its deadline set, its event out, its entry done with."""
    deliver(client, Type.START, 5, at_ms=1_000)

    assert Status.STARTED == ring(client, store)
    assert [(b"a", 6_000.0)] == client.zrange(keys.DEADLINES, 0, -1, withscores=True)
    assert ["exam.started"] == events(client)
    assert not client.exists(keys.inbox("a"))
    assert 0 == pending(client)


@pytest.mark.parametrize("status", ["pass", "fail"])
def test_finish(client: Client, store: Store, status: str) -> None:
    """A result in time decides the exam and really deletes its deadline."""
    deliver(client, Type.START, 5, at_ms=1_000)
    ring(client, store)
    deliver(client, Type.FINISH, status, at_ms=2_000)

    assert status == ring(client, store)
    assert not client.exists(keys.DEADLINES)
    assert ["exam.started", f"exam.{status}"] == events(client)


def test_absent(client: Client, store: Store) -> None:
    """An expiry after the deadline marks the exam absent."""
    deliver(client, Type.START, 5, at_ms=1_000)
    deliver(client, Type.EXPIRE, 6_000, at_ms=6_001)

    assert Status.ABSENT == ring(client, store)
    assert {b"started": b"1", b"absent": b"1"} == client.hgetall(keys.COUNTS)


def test_late_is_recorded(client: Client, store: Store) -> None:
    """A result after the deadline is in the history, refused as late."""
    deliver(client, Type.START, 5, at_ms=1_000)
    deliver(client, Type.EXPIRE, 6_000, at_ms=6_001)
    deliver(client, Type.FINISH, "pass", at_ms=6_002)

    assert Status.ABSENT == ring(client, store)
    last = json.loads(store.read("a") or b"")["history"][-1]
    assert ("refused", "late") == (last["verdict"], last["reason"])
    assert 0 == pending(client)


def test_result_overtakes(client: Client, store: Store) -> None:
    """A result that comes before its start stays pending, and counts when the start comes."""
    deliver(client, Type.FINISH, "pass", at_ms=900)
    assert ring(client, store) is None
    assert 1 == pending(client)

    deliver(client, Type.START, 5, at_ms=1_000)

    assert Status.PASS == ring(client, store)
    assert 0 == pending(client)


def test_orphan(client: Client, store: Store) -> None:
    """A result whose start never comes is buried with that reason."""
    entry = deliver(client, Type.FINISH, "pass", at_ms=900)

    assert ring(client, store, orphan_after_s=60) is None

    [(_, dead)] = client.xrange(keys.DEAD)
    assert entry.encode() == dead[b"entry"]
    assert dead[b"reason"].startswith(b"result without start")
    assert 0 == pending(client)
    assert not client.exists(keys.inbox("a"))


def test_orphan_behind_an_outage(client: Client, store: Store) -> None:
    """While the start may still be unread, an old result is not buried."""
    deliver(client, Type.FINISH, "pass", at_ms=900)
    client.xadd(keys.COMMANDS, {"type": "exam.start", "data": "{}"})  # not read yet

    ring(client, store, orphan_after_s=60)

    assert not client.exists(keys.DEAD)
    assert 1 == pending(client)


def test_killed_after_write(client: Client, store: Store) -> None:
    """Killed between the write and the books, a worker's successor only keeps the books."""
    deliver(client, Type.START, 5, at_ms=1_000)
    outcome = transition("a", None, inbox.read(client, "a").facts)
    assert outcome.exam
    store.save(outcome.exam)
    before = store.read("a")

    ring(client, store)

    assert before == store.read("a")
    assert ["exam.started"] == events(client)
    assert {b"started": b"1"} == client.hgetall(keys.COUNTS)
    assert 0 == pending(client)


def test_bell_without_mail(client: Client, store: Store) -> None:
    """A bell for an empty inbox changes nothing, whether the exam exists or not."""
    deliver(client, Type.START, 5, at_ms=1_000)
    ring(client, store)
    before = store.read("a"), events(client), client.hgetall(keys.COUNTS)

    ring(client, store)
    ring(client, store, pk="other")

    assert before == (store.read("a"), events(client), client.hgetall(keys.COUNTS))


def test_duplicate(client: Client, store: Store) -> None:
    """Two entries of one start make one exam with one deadline; the second is a duplicate."""
    deliver(client, Type.START, 5, at_ms=1_000, command="c")
    deliver(client, Type.START, 5, at_ms=1_001, command="c")

    ring(client, store)

    verdicts = [r["verdict"] for r in json.loads(store.read("a") or b"")["history"]]
    assert ["applied", "duplicate"] == verdicts
    assert [(b"a", 6_000.0)] == client.zrange(keys.DEADLINES, 0, -1, withscores=True)


def test_corrected(client: Client, store: Store) -> None:
    """A result in time that surfaces after `absent` corrects it, visibly."""
    deliver(client, Type.START, 5, at_ms=1_000)
    deliver(client, Type.EXPIRE, 6_000, at_ms=6_001)
    ring(client, store)
    deliver(client, Type.FINISH, "pass", at_ms=5_999)

    assert Status.PASS == ring(client, store)
    assert "corrected" == json.loads(store.read("a") or b"")["history"][-1]["verdict"]
    assert ["exam.started", "exam.absent", "exam.pass"] == events(client)


def test_damaged_file(client: Client, store: Store) -> None:
    """A damaged file is not overwritten, and the command for it stays pending."""
    deliver(client, Type.START, 5, at_ms=1_000)
    ring(client, store)
    store.path("a").write_text("{")
    deliver(client, Type.FINISH, "pass", at_ms=2_000)

    with pytest.raises(Damaged):
        ring(client, store)

    assert "{" == store.path("a").read_text()
    assert 1 == pending(client)


def test_foreign_field(client: Client, store: Store) -> None:
    """What no dispatcher wrote into an inbox is dropped, and the letters beside it are applied."""
    client.hset(keys.inbox("a"), mapping={"nonsense": "x", b"\xff": b"\xff", "1-1": '5 ["a"]'})
    deliver(client, Type.START, 5, at_ms=1_000)

    assert Status.STARTED == ring(client, store)
    assert not client.exists(keys.inbox("a"))
