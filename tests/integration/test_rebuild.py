"""A damaged file is set aside, and its exam made anew from the stream, or left for people."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.client import Client
from support.desks import Desks
from support.users import as_role, as_worker
from support.waiting import wait_until

from filestore.document import Damaged
from ops import keys
from ops.roles import Role
from ops.settings import Settings
from tasks import dead
from tasks.world import note_damage

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#: What can lie in a document's place, made from the document.
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _text: b"",
    "truncated": lambda text: text[: len(text) // 2],
    "zeros": lambda text: bytes(len(text)),
    "another exam's": lambda text: text.replace(b'"pk": "a"', b'"pk": "b"'),
    "another status": lambda text: text.replace(b'"status"', b'"status": "fail", "was"', 1),
    "foreign": lambda _text: b'{"hello": ["world"]}',
    "not text": lambda text: b"\xff\xfe" + text,
}
#: Duration of exam a, which was started a minute ago, and its entries by their milliseconds.
STORIES: dict[str, tuple[int, list[tuple[int, str, dict[str, object]]]]] = {
    "open": (90, []),
    "passed": (90, [(4_000, "exam.finish", {"status": "pass"})]),
    "absent": (5, [(59_000, "exam.finish", {"status": "pass"})]),
    "passed, then again": (
        90,
        [
            (4_000, "exam.finish", {"status": "pass"}),
            (4_500, "exam.finish", {"status": "fail"}),
            (4_600, "exam.start", {"duration": 9}),
            (5_001, "exam.expire", {"deadline": 5_000}),
        ],
    ),
}


def now_ms(client: Client) -> int:
    """Redis' clock."""
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def tell(desks: Desks, story: str = "open") -> int:
    """Let a story happen to exam a, entry by entry; return when it was started."""
    start_ms = now_ms(desks.client) - 60_000
    duration, entries = STORIES[story]
    desks.push("exam.start", f"{start_ms}-0", pk="a", duration=duration)
    desks.dispatch()
    desks.apply()
    for after_ms, type_name, data in entries:
        desks.push(type_name, f"{start_ms + after_ms}-0", pk="a", **data)
        desks.dispatch()
        desks.apply()
    desks.dispatch()  # fires a deadline that has passed
    desks.apply()
    return start_ms


def damage(desks: Desks, change: Callable[[bytes], bytes] = DAMAGE["empty"]) -> bytes:
    """Spoil the file of exam a, and let whoever comes upon it note that."""
    path = desks.store.path("a")
    text = change(path.read_bytes())
    path.write_bytes(text)
    with pytest.raises(Damaged) as caught:
        desks.store.load("a")
    note_damage(as_worker(desks.client), "a", caught.value)
    return text


def rebuild(desks: Desks) -> None:
    """Give the dispatcher the turns that it needs."""
    desks.dispatcher._rebuilder._look_at = 0.0
    desks.dispatch()
    while desks.dispatcher._rebuilder.is_busy:
        desks.dispatch()


def kept(desks: Desks) -> list[bytes]:
    """What was set aside."""
    return [path.read_bytes() for path in (desks.settings.exams / ".damaged").glob("a.*")]


def in_order(document: dict[str, Any]) -> dict[str, Any]:
    """Bring its history into the stream's order: rebuilt, starts come before the rest."""
    history = sorted(document["history"], key=lambda record: record["entry"])
    return document | {"history": history}


def told(client: Client) -> tuple[Any, int]:
    """What the world was told: counts, and the number of events."""
    return client.hgetall(keys.COUNTS), client.xlen(keys.EVENTS)


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("story", STORIES)
def test_comes_back(
    desks: Desks, client: Client, change: Callable[[bytes], bytes], story: str
) -> None:
    """The document says again what it said; the file is kept, and nobody is told a thing twice."""
    tell(desks, story)
    before, said = in_order(desks.document()), told(client)
    text = damage(desks, change)

    rebuild(desks)

    assert before == in_order(desks.document())
    assert [text] == kept(desks)
    assert said == told(client)
    assert not client.exists(keys.DAMAGED)


def test_deadline_comes_back(desks: Desks, client: Client) -> None:
    """The exam's file says again that it is open, so its deadline is in Redis."""
    start_ms = tell(desks)
    damage(desks)
    client.delete(keys.DEADLINES)

    rebuild(desks)

    assert start_ms + 90_000 == client.zscore(keys.DEADLINES, "a")
    assert ["a"] == list(desks.store.open_exams())


def test_result_that_waited(desks: Desks, client: Client) -> None:
    """A result that came while the file was damaged is applied, and counted once."""
    start_ms = tell(desks)
    damage(desks)
    desks.push("exam.finish", f"{start_ms + 80_000}-0", pk="a", status="pass")
    desks.dispatch()
    with pytest.raises(Damaged):
        desks.apply()

    rebuild(desks)
    assert client.getdel(keys.RING_AGAIN)
    desks.apply()

    assert "pass" == desks.document()["status"]
    assert {b"started": b"1", b"pass": b"1"} == client.hgetall(keys.COUNTS)
    assert 0 == client.xpending(keys.COMMANDS, keys.GROUP)["pending"]


def test_trace_survives(desks: Desks, client: Client) -> None:
    """A result that came while the file was damaged is applied under the trace it came with."""
    start_ms = tell(desks)
    damage(desks)
    data = '{"pk":"a","status":"pass"}'
    fields = {"type": "exam.finish", "data": data, "traceparent": TRACEPARENT}
    entry = client.xadd(keys.COMMANDS, fields, id=f"{start_ms + 80_000}-0")
    desks.dispatch()

    rebuild(desks)
    with capture_logs() as lines:
        desks.apply()

    [line] = [line for line in lines if line.get("entry") == entry.decode()]
    assert TRACEPARENT.split("-")[1] == line["trace_id"]


def test_time_of_a_forged_id(desks: Desks) -> None:
    """What came in time behind an id of the future still came in time."""
    future_ms = now_ms(desks.client) + 400
    desks.push("exam.start", f"{future_ms}-0", pk="a", duration=1)
    desks.push("exam.finish", f"{future_ms + 1_500}-0", pk="a", status="pass")
    desks.dispatch()
    desks.apply()
    before = desks.store.read("a")
    assert "pass" == desks.document()["status"]
    while now_ms(desks.client) <= future_ms + 1_500:
        desks.client.blpop("nothing", timeout=0.1)
    damage(desks)

    rebuild(desks)

    assert before == desks.store.read("a")


def test_replayed_letter(desks: Desks, client: Client) -> None:
    """A dead letter that was put back counts by the time at which it first came in."""
    start_ms = tell(desks)
    result = desks.push("exam.finish", f"{start_ms + 5_000}-0", pk="a", status="pass")
    desks.dispatch()
    assert dead.replay(as_role(client, Role.OPERATOR), desks.bury(result))
    desks.dispatch()
    desks.apply()
    assert "pass" == desks.document()["status"]
    before = desks.store.read("a")
    damage(desks)

    rebuild(desks)

    assert before == desks.store.read("a")


def test_buried_command(desks: Desks) -> None:
    """A command that was buried had no effect, and has none now."""
    start_ms = tell(desks)
    result = desks.push("exam.finish", f"{start_ms + 5_000}-0", pk="a", status="pass")
    desks.dispatch()
    desks.bury(result)
    before = desks.store.read("a")
    damage(desks)

    rebuild(desks)

    assert before == desks.store.read("a")


def test_entry_that_nobody_understood(desks: Desks, client: Client) -> None:
    """A field that stands twice makes an entry nobody's; read again, it still is."""
    start_ms = tell(desks)
    twice = ["type", "exam.finish", "data", '{"pk":"a","status":"fail"}']
    twice += ["data", '{"pk":"a","status":"pass"}']
    client.execute_command("XADD", keys.COMMANDS, f"{start_ms + 1_000}-0", *twice)
    desks.dispatch()
    before = desks.store.read("a")
    damage(desks)

    rebuild(desks)

    assert before == desks.store.read("a")


def trim(client: Client, count: int) -> None:
    """Let old entries leave the stream."""
    client.xtrim(keys.COMMANDS, maxlen=count, approximate=False)


def test_old_entries_are_gone_and_the_file_tells(desks: Desks, client: Client) -> None:
    """With the start on the stream, and the file saying that it is the one, nothing is missing."""
    long_ago = now_ms(client) - 3_600_000
    desks.push("exam.start", f"{long_ago}-0", pk="z")
    desks.push("exam.start", f"{long_ago}-1", pk="y")
    desks.dispatch()
    tell(desks, "passed")
    before = desks.store.read("a")
    trim(client, client.xlen(keys.COMMANDS) - 1)
    damage(desks, DAMAGE["truncated"])

    rebuild(desks)

    assert before == desks.store.read("a")


DOUBTS = {
    "no start": (1, DAMAGE["truncated"], "holds no start"),
    "perhaps not the first start": (2, DAMAGE["empty"], "does not say when it was started"),
    "perhaps not all results": (2, DAMAGE["truncated"], "may have left the stream"),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_not_sure(
    desks: Desks, client: Client, capsys: pytest.CaptureFixture[str], doubt: str
) -> None:
    """What the stream does not tell for sure is left as it is, and said once."""
    left, change, reason = DOUBTS[doubt]
    desks.push("exam.start", f"{now_ms(client) - 70_000}-0", pk="z")
    desks.dispatch()
    tell(desks, "passed")
    trim(client, left)
    text = damage(desks, change)

    rebuild(desks)
    rebuild(desks)

    assert text == desks.store.path("a").read_bytes()
    assert reason in client.hget(keys.DAMAGED, "a").decode()
    assert 1 == capsys.readouterr().out.count("exam_not_rebuilt")


def test_other_start(desks: Desks, client: Client) -> None:
    """Redis was emptied, and somebody started the exam again: the file knows better."""
    tell(desks)
    text = damage(desks, DAMAGE["truncated"])
    client.flushall()
    desks.dispatcher._stream.ensure_group()
    client.hset(keys.DAMAGED, "a", "")
    desks.push("exam.start", pk="a", duration=5)
    desks.dispatch()

    rebuild(desks)

    assert text == desks.store.path("a").read_bytes()
    assert b"by the file" in client.hget(keys.DAMAGED, "a")


def test_other_duration(desks: Desks, client: Client) -> None:
    """The duration of a start that names none was another one then: Redis knows the deadline."""
    start_ms = now_ms(client) - 60_000
    desks.push("exam.start", f"{start_ms}-0", pk="a")
    desks.dispatch()
    desks.apply()
    text = damage(desks)
    client.zadd(keys.DEADLINES, {"a": start_ms + 3_600_000})

    rebuild(desks)

    assert text == desks.store.path("a").read_bytes()
    assert b"Redis has the deadline" in client.hget(keys.DAMAGED, "a")


@pytest.mark.parametrize("mended", [True, False], ids=["put back", "taken away"])
def test_person_mends_it(desks: Desks, client: Client, *, mended: bool) -> None:
    """Once a person has seen to the file it is an exam like any other, and may be damaged anew."""
    tell(desks, "passed")
    before = desks.store.read("a") or b""
    damage(desks)
    client.hset(keys.DAMAGED, "a", "the stream holds no start of it")

    path = desks.store.path("a")
    path.write_bytes(before) if mended else path.unlink()
    rebuild(desks)

    assert not client.exists(keys.DAMAGED)
    assert client.exists(keys.RING_AGAIN)


def test_somebody_is_at_work_on_it(desks: Desks, client: Client) -> None:
    """While somebody holds its lock it waits; after that it is made anew within seconds."""
    tell(desks)
    before = desks.store.read("a")
    text = damage(desks)
    with desks.store.lock("a", wait_s=0):
        rebuild(desks)
    assert text == desks.store.path("a").read_bytes()

    def is_mended() -> bool:
        desks.dispatch()
        return not client.exists(keys.DAMAGED)

    wait_until(is_mended, saying="it is made anew")

    assert before == desks.store.read("a")


def test_killed_before_it_was_said(desks: Desks, client: Client) -> None:
    """Killed between the disk and Redis, the rest is done by whoever comes next."""
    start_ms = tell(desks)
    client.delete(keys.DEADLINES)
    client.hset(keys.DAMAGED, "a", "")

    rebuild(desks)

    assert [] == kept(desks)
    assert start_ms + 90_000 == client.zscore(keys.DEADLINES, "a")
    assert not client.exists(keys.DAMAGED)


def test_many_pages(desks: Desks, client: Client) -> None:
    """A long stream is read a page at a time; what is found on every page counts."""
    start_ms = tell(desks)
    with client.pipeline() as pipeline:
        for number in range(1_200):
            data = json.dumps({"pk": f"other-{number}"})
            entry = f"{start_ms + 1_000}-{number}"
            pipeline.xadd(keys.COMMANDS, {"type": "exam.start", "data": data}, id=entry)
        pipeline.execute()
    desks.push("exam.finish", f"{start_ms + 2_000}-0", pk="a", status="pass")
    for _ in range(5):
        client.delete("celery:exam")
        desks.dispatch()
    desks.apply()
    before = desks.store.read("a")
    damage(desks)

    rebuild(desks)

    assert "pass" == desks.document()["status"]
    assert before == desks.store.read("a")


def test_times_leave_with_their_entries(desks: Desks, client: Client, server: Settings) -> None:
    """What was noted about an entry goes when the entry has left the stream."""
    long_ago = now_ms(client) - (server.stream_retention + 60) * 1000
    for number in range(300):  # whole nodes of the stream: it is trimmed about, not exactly
        desks.push("exam.finish", f"{long_ago}-{number}", pk="a", status="pass")
    desks.dispatch()
    desks.dispatch()
    for number in range(300):
        desks.bury(f"{long_ago}-{number}")
    assert 300 == client.hlen(keys.TIMES)

    desks.push("exam.start", pk="b")
    desks.dispatch()
    desks.dispatcher.trim()

    assert client.xlen(keys.COMMANDS) < 300
    left = {entry for entry, _ in client.xrange(keys.COMMANDS)}
    assert left >= set(client.hkeys(keys.TIMES))
