"""What a bell does: from an inbox to the file, and the books in Redis."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.client import Client
from support.users import as_worker

from filestore.document import Damaged
from filestore.exam import Exam, transition
from filestore.fact import Status, Type
from filestore.store import Store
from ops import keys, outage, trace
from ops.trace import Trace
from tasks import attempts, inbox
from tasks.desk import Desk
from tasks.exam import answer
from tasks.inbox import Letter

pytestmark = pytest.mark.usefixtures("group")


def deliver(
    client: Client,
    kind: Type,
    value: int | str,
    *,
    at_ms: int,
    command: str = "",
    pk: str = "a",
    source: str | None = None,
    traced: Trace | None = None,
) -> str:
    """Put a pending entry's letter into the inbox, as the dispatcher does."""
    entry = str(client.xadd(keys.COMMANDS, {"type": kind, "data": "{}"}), "ascii")
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"})
    letter = Letter(
        pk=pk,
        entry=entry,
        command=command or entry,
        source=source,
        type=kind,
        value=value,
        trace=traced,
    )
    client.hset(keys.inbox(pk), entry, f"{at_ms} {inbox.encode(letter)}")
    return entry


def ring(
    client: Client, store: Store, pk: str = "a", *, orphan_after_s: int = 10**10
) -> Status | None:
    """Answer the exam's bell and say where the exam stands on disk."""
    answer(
        pk,
        Desk(redis=as_worker(client), store=store, orphan_after_s=orphan_after_s, most_attempts=5),
    )
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
    """A result after the deadline is in the history, refused as late, and an event says so."""
    deliver(client, Type.START, 5, at_ms=1_000)
    deliver(client, Type.EXPIRE, 6_000, at_ms=6_001)
    deliver(client, Type.FINISH, "pass", at_ms=6_002)

    assert Status.ABSENT == ring(client, store)
    last = json.loads(store.read("a") or b"")["history"][-1]
    assert ("refused", "late") == (last["verdict"], last["reason"])
    assert 0 == pending(client)
    assert ["exam.started", "exam.absent", "exam.refused"] == events(client)
    [(_, fields)] = client.xrevrange(keys.EVENTS, count=1)
    told = json.loads(fields[b"data"])
    assert ("absent", "late", last["command"]) == (told["status"], told["reason"], told["command"])
    assert {b"started": b"1", b"absent": b"1"} == client.hgetall(keys.COUNTS)


def test_result_overtakes(client: Client, store: Store) -> None:
    """A result that comes before its start stays pending, and counts when the start comes."""
    deliver(client, Type.FINISH, "pass", at_ms=900)
    assert ring(client, store) is None
    assert 1 == pending(client)

    deliver(client, Type.START, 5, at_ms=1_000)

    assert Status.PASS == ring(client, store)
    assert 0 == pending(client)


def lines_of(lines: Sequence[Mapping[str, Any]], *events: str) -> list[Any]:
    """Trace id, entry and source of the lines of those events."""
    found = [line for line in lines if line["event"] in events]
    return [(line["trace_id"], line["entry"], line.get("source")) for line in found]


def test_lines_name_trace_and_source(client: Client, store: Store) -> None:
    """Each verdict's line says which trace its command belongs to, and where it came from."""
    traced = trace.new()
    start = deliver(client, Type.START, 5, at_ms=1_000, traced=traced, source="school")
    again = deliver(client, Type.START, 7, at_ms=1_001)
    with capture_logs() as lines:
        ring(client, store)

    assert [(traced.trace_id, start, "school")] == lines_of(lines, "applied")
    assert [(trace.derived(again).trace_id, again, None)] == lines_of(lines, "refused")
    assert all("source" in line for line in lines if line["event"] in ("applied", "refused"))


def test_lines_of_what_waits_name_the_trace(client: Client, store: Store) -> None:
    """A result that waits for its start, and is buried at last, is found by its trace."""
    traced = trace.new()
    entry = deliver(client, Type.FINISH, "pass", at_ms=900, traced=traced)
    with capture_logs() as lines:
        ring(client, store, orphan_after_s=60)

    assert [(traced.trace_id, entry, None)] * 2 == lines_of(lines, "waiting", "buried")


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


class Poisoned(Store):
    """A store that fails for any exam whose history has the result "fail": a mistake of ours."""

    def save(self, exam: Exam) -> None:
        """Save, or raise what nobody expected."""
        if any(record.fact.value == "fail" for record in exam.history):
            raise ZeroDivisionError("poison")
        super().save(exam)


@pytest.fixture
def poisoned(tmp_path: Path, store: Store) -> Poisoned:
    """The same store, with the mistake."""
    return Poisoned(tmp_path)


def attempt(client: Client, store: Store) -> None:
    """Answer the bell as the task does, which survives a mistake."""
    with suppress(ZeroDivisionError):
        ring(client, store)


def test_poison_is_buried(client: Client, store: Store, poisoned: Store) -> None:
    """A command that raises every time is buried after five attempts; its neighbours count."""
    deliver(client, Type.START, 5, at_ms=1_000)
    poison = deliver(client, Type.FINISH, "fail", at_ms=2_000)
    deliver(client, Type.FINISH, "pass", at_ms=3_000)

    for _ in range(5):
        attempt(client, poisoned)
        assert not client.exists(keys.DEAD)
    attempt(client, poisoned)

    [(_, dead)] = client.xrange(keys.DEAD)
    assert (poison.encode(), b"exam.finish") == (dead[b"entry"], dead[b"field:type"])
    assert b"ZeroDivisionError in" in dead[b"error"]
    assert int(dead[b"deliveries"]) > 0
    assert Status.PASS == ring(client, store)
    assert 0 == pending(client)
    assert not client.keys(f"{keys.attempts('a')}*")


def test_neighbours_do_not_wait(client: Client, store: Store, poisoned: Store) -> None:
    """From the third attempt on what is good is applied, while the poison is tried again."""
    deliver(client, Type.START, 5, at_ms=1_000)
    deliver(client, Type.FINISH, "fail", at_ms=3_000)
    deliver(client, Type.FINISH, "pass", at_ms=2_000)

    for _ in range(3):
        attempt(client, poisoned)

    exam = store.load("a")
    assert exam
    assert Status.PASS == exam.standing.status


def test_expiry_waits_for_what_failed(client: Client, store: Store, poisoned: Store) -> None:
    """Nobody is absent while a result that came before the expiry is still being tried."""
    deliver(client, Type.START, 5, at_ms=1_000)
    deliver(client, Type.FINISH, "fail", at_ms=2_000)
    deliver(client, Type.EXPIRE, 6_000, at_ms=6_001)

    for _ in range(4):
        attempt(client, poisoned)
        exam = store.load("a")
        assert exam is None or exam.standing.status is Status.STARTED
    assert Status.FAIL == ring(client, store)  # the mistake was mended before it was buried
    assert 0 == pending(client)


def test_death_counts_as_an_attempt(client: Client, store: Store) -> None:
    """A command that ends its worker leaves a trace, and is buried as one that did."""
    deliver(client, Type.START, 5, at_ms=1_000)
    for _ in range(2):
        inbox.read(client, "a")  # and the worker is gone
    for _ in range(3):
        inbox.read(client, "a")
        attempts.begin_alone(client, "a", client.hkeys(keys.inbox("a"))[0].decode())

    assert ring(client, store) is None

    [(_, dead)] = client.xrange(keys.DEAD)
    assert b"failed 5 times: it ended the worker" == dead[b"reason"]


def test_success_forgets_attempts(client: Client, store: Store) -> None:
    """Attempts that came to no end are forgotten once the command is applied."""
    deliver(client, Type.START, 5, at_ms=1_000)
    for _ in range(4):
        inbox.read(client, "a")  # killed by somebody else

    assert Status.STARTED == ring(client, store)
    assert not client.keys(f"{keys.attempts('a')}*")


@pytest.mark.parametrize("rings", [1, 2, 9])
def test_waiting_is_no_failure(client: Client, store: Store, rings: int) -> None:
    """A result that waits for its start is not an attempt that failed, however often it rings."""
    deliver(client, Type.FINISH, "pass", at_ms=900)
    for _ in range(rings):
        assert ring(client, store) is None

    assert not client.keys(f"{keys.attempts('a')}*")
    assert not client.exists(keys.DEAD)


def test_mark_of_a_traceback() -> None:
    """The same mistake has the same mark, whatever the value was; another one has another."""

    def raised(act: Callable[[], object]) -> str:
        try:
            act()
        except Exception as error:
            return attempts.digest(error)
        raise AssertionError

    one, same, other = (raised(lambda v=v: int(v)) for v in ("a", "b", ()))  # type: ignore[misc]
    assert one.partition("]")[0] == same.partition("]")[0]
    assert one.partition("]")[0] != other.partition("]")[0]


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


def test_disk_is_back(client: Client, store: Store) -> None:
    """The first file after an outage asks for all that waits; those after it do not."""
    outage.DISK.went_on(OSError(28, "No space left on device"))
    deliver(client, Type.START, 5, at_ms=1_000)
    ring(client, store)
    assert client.getdel(keys.RING_AGAIN)

    deliver(client, Type.FINISH, "pass", at_ms=2_000)
    ring(client, store)
    assert not client.exists(keys.RING_AGAIN)


def test_foreign_field(client: Client, store: Store) -> None:
    """What no dispatcher wrote into an inbox is dropped, and the letters beside it are applied."""
    client.hset(keys.inbox("a"), mapping={"nonsense": "x", b"\xff": b"\xff", "1-1": '5 ["a"]'})
    deliver(client, Type.START, 5, at_ms=1_000)

    assert Status.STARTED == ring(client, store)
    assert not client.exists(keys.inbox("a"))
