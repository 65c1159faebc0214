"""The dispatcher's cleaning: lost deadlines come back, and the stream does not grow for ever."""

import pytest
from support.client import Client
from support.users import as_dispatcher

from dispatcher import lease
from dispatcher.stream import Stream
from dispatcher.sweep import OVERDUE_MS, sweep
from filestore.exam import Exam, transition
from filestore.fact import Fact, Type
from filestore.store import Store
from ops import keys

pytestmark = pytest.mark.usefixtures("group")


def now_ms(client: Client) -> int:
    """Read Redis' clock."""
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


def save(store: Store, pk: str, at_ms: int, *more: Fact) -> Exam:
    """Put an exam of 60 seconds on the disk."""
    start = Fact(
        at_ms=at_ms, entry=f"{at_ms}-0", command="c", source=None, type=Type.START, value=60
    )
    exam = transition(pk, None, [start, *more]).exam
    assert exam
    store.save(exam)
    return exam


def deadlines(client: Client) -> dict[str, float]:
    """Read all deadlines."""
    return {pk.decode(): ms for pk, ms in client.zrange(keys.DEADLINES, 0, -1, withscores=True)}


def swept(client: Client, store: Store) -> list[Exam]:
    """The exams that a whole sweep gives their deadlines back."""
    return [exam for chunk in sweep(as_dispatcher(client), store) for exam in chunk]


def send(client: Client, *, is_read: bool) -> None:
    """Put something onto the stream that is under way."""
    client.xadd(keys.COMMANDS, {"type": "exam.expire", "data": "{}"})
    if is_read:
        client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"})


def test_lost_deadline(client: Client, store: Store) -> None:
    """An open exam whose deadline Redis has lost gets it back, to the millisecond."""
    exam = save(store, "a", now_ms(client))

    restored = swept(client, store)

    assert [exam] == restored
    assert {"a": exam.standing.deadline_ms} == deadlines(client)
    assert [] == swept(client, store)


def test_decided_gets_none(client: Client, store: Store) -> None:
    """A decided exam gets no deadline, also when a crash left its name among the open ones."""
    at_ms = now_ms(client)
    result = Fact(
        at_ms=at_ms, entry=f"{at_ms}-1", command="d", source=None, type=Type.FINISH, value="pass"
    )
    save(store, "a", at_ms)
    (exam,) = [save(store, "a", at_ms, result)]
    store._list_as_open("a")

    assert exam.standing.decided_by == result
    assert [] == swept(client, store)
    assert [] == list(store.open_exams())


def test_overdue_while_idle(client: Client, store: Store) -> None:
    """A deadline that passed while Redis lost everything is set, to fire at once."""
    save(store, "a", now_ms(client) - 61_000)

    swept(client, store)

    assert ["a"] == list(deadlines(client))


def test_letters_wait(client: Client, store: Store) -> None:
    """An overdue exam whose letters wait for the disk gets no second expiry beside the first."""
    save(store, "a", now_ms(client) - 61_000 - OVERDUE_MS)
    client.hset(keys.inbox("a"), "1-0", "its expiry")
    send(client, is_read=True)

    assert [] == swept(client, store)
    client.delete(keys.inbox("a"))
    assert ["a"] == [exam.pk for exam in swept(client, store)]


def test_files_of_letters_are_not_read(
    client: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When thousands end at once the sweep reads no file of theirs: each has its letter."""
    for pk in ("a", "b", "c"):
        save(store, pk, now_ms(client) - 61_000)
    for pk in ("a", "c"):
        client.hset(keys.inbox(pk), "1-0", "its expiry")
    send(client, is_read=True)
    read: list[str] = []
    load = Store.load

    def noted(self: Store, pk: str) -> Exam | None:
        read.append(pk)
        return load(self, pk)

    monkeypatch.setattr(Store, "load", noted)

    swept(client, store)

    assert ["b"] == read


def test_expiry_on_its_way(client: Client, store: Store) -> None:
    """An exam whose deadline has just fired is left alone while anything is under way."""
    save(store, "just", now_ms(client) - 61_000)
    save(store, "long-ago", now_ms(client) - 61_000 - OVERDUE_MS)
    send(client, is_read=True)

    swept(client, store)

    assert ["long-ago"] == list(deadlines(client))


def test_backlog(client: Client, store: Store) -> None:
    """While reading is behind, an overdue exam's expiry may lie there: none is added to it."""
    save(store, "long-ago", now_ms(client) - 61_000 - OVERDUE_MS)
    save(store, "running", now_ms(client))
    send(client, is_read=False)

    assert ["running"] == [exam.pk for exam in swept(client, store)]
    send(client, is_read=True)
    assert ["long-ago"] == [exam.pk for exam in swept(client, store)]


def test_locked_is_left_alone(client: Client, store: Store) -> None:
    """An exam that a worker has in hand is not touched."""
    save(store, "a", now_ms(client))

    with store.lock("a"):
        assert [] == swept(client, store)


def test_many_open_exams(client: Client, store: Store) -> None:
    """More open exams than one round trip asks about are all found."""
    for number in range(1_100):
        store._list_as_open(f"e{number}")
    for number in (0, 777, 1_099):
        save(store, f"e{number}", now_ms(client))

    restored = {exam.pk for exam in swept(client, store)}

    assert {"e0", "e777", "e1099"} == restored


def filled(client: Client, count: int = 1_000) -> list[str]:
    """Put entries onto the stream, enough of them for the server to let whole nodes go."""
    return [
        client.xadd(keys.COMMANDS, {"type": "x"}, id=f"{n}-0").decode() for n in range(1, count + 1)
    ]


def stream(client: Client) -> Stream:
    """The stream, as the active dispatcher sees it."""
    assert lease.take(as_dispatcher(client), token="t")
    return Stream(as_dispatcher(client), token="t")


def test_trims_what_is_done(client: Client) -> None:
    """Old entries that were read and acknowledged leave the stream."""
    entries = filled(client)
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"}, count=2_000)
    client.xack(keys.COMMANDS, keys.GROUP, *entries)

    removed = stream(client).trim(retention_s=0)

    assert removed > 800
    assert 1_000 - removed == client.xlen(keys.COMMANDS)


def test_keeps_unread(client: Client) -> None:
    """No entry is trimmed that nobody has read, however old."""
    filled(client)

    assert 0 == stream(client).trim(retention_s=0)


def test_keeps_pending(client: Client) -> None:
    """No entry is trimmed that is pending, nor what is behind it."""
    entries = filled(client)
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"}, count=2_000)
    client.xack(keys.COMMANDS, keys.GROUP, *(e for e in entries if e != "500-0"))

    stream(client).trim(retention_s=0)

    left = [entry.decode() for entry, _ in client.xrange(keys.COMMANDS)]
    assert entries[499:] == left[-501:]
    assert len(left) < 1_000


def test_keeps_what_another_group_needs(client: Client) -> None:
    """What a group of somebody else's has not read stays."""
    entries = filled(client)
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"}, count=2_000)
    client.xack(keys.COMMANDS, keys.GROUP, *entries)
    client.xgroup_create(keys.COMMANDS, "statistics", id="0")

    assert 0 == stream(client).trim(retention_s=0)


def test_keeps_young(client: Client) -> None:
    """Entries stay for the retention, although everyone is done with them."""
    entries = [client.xadd(keys.COMMANDS, {"type": "x"}) for _ in range(500)]
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"}, count=1_000)
    client.xack(keys.COMMANDS, keys.GROUP, *entries)

    assert 0 == stream(client).trim(retention_s=60)


def test_compares_long_ids(client: Client) -> None:
    """Ids longer than Lua's numbers are compared digit by digit."""
    big = 2**63
    for n in range(300):
        client.xadd(keys.COMMANDS, {"type": "x"}, id=f"{big}-{n + 1}")
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"}, count=300)

    assert 0 == stream(client).trim(retention_s=0)
