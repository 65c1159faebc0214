"""The dispatcher against a real server, turn by turn, without its loop."""

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from celery import Celery
from redis import Redis
from structlog.testing import capture_logs
from support.client import Client
from support.users import as_dispatcher
from support.waiting import wait_until

from dispatcher import lease, line, turns
from dispatcher.lease import LeaseLost
from dispatcher.promote import promote
from dispatcher.routes import MOST_PKS
from dispatcher.stream import LINE_KEPT_MS, MOST_BELLS, MOST_ECHOES, READ_COUNT
from dispatcher.turns import Dispatcher
from ops import keys, logins, trace
from ops.audit.wording import singles
from ops.connect import connect
from ops.roles import Role
from ops.settings import Settings
from tasks import inbox
from tasks.broker import broker_url

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

EXAM_QUEUE = keys.CELERY + keys.QUEUE_EXAM
SLOW_QUEUE = keys.CELERY + keys.QUEUE_SLOW


@pytest.fixture
def app(server: Settings) -> Iterator[Celery]:
    """A Celery application on the private server, as far as sending needs one."""
    with Celery("test", broker=broker_url(server.redis), set_as_current=False) as app:
        app.conf.broker_transport_options = {"global_keyprefix": keys.CELERY}
        yield app


def active(client: Client, app: Celery, server: Settings, token: str = "mine") -> Dispatcher:
    """Make a dispatcher that holds the lease and has finished its predecessor's work."""
    assert lease.take(as_dispatcher(client), token=token)
    stop = threading.Event()
    dispatcher = Dispatcher(
        as_dispatcher(client),
        app=app,
        settings=server,
        token=token,
        stop=stop,
        on_turn=lambda: None,
    )
    dispatcher._stream.ensure_group()
    dispatcher.recover()
    return dispatcher


def push(
    client: Client, data: object, *, type_name: str = "exam.start", entry_id: str = "*"
) -> str:
    """Push a command as any producer does."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    entry = client.xadd(keys.COMMANDS, {"type": type_name, "data": text}, id=entry_id)
    return str(entry, "ascii")


def bells(client: Client, queue: str = EXAM_QUEUE) -> list[Any]:
    """Read the arguments of the waiting Celery messages, the oldest first."""
    messages = [json.loads(text) for text in client.lrange(queue, 0, -1)]
    return [json.loads(base64.b64decode(m["body"])) for m in reversed(messages)]


def leave_alone(
    client: Client, entries: list[str], *, consumer: str = keys.CONSUMER, deliveries: int = 1
) -> None:
    """Make entries look as if nobody had finished them, seconds after they were delivered."""
    client.xclaim(
        *(keys.COMMANDS, keys.GROUP, consumer, 0, entries), idle=6_000, retrycount=deliveries
    )


def told(lines: list[Any], key: str) -> list[tuple[Any, Any]]:
    """Of each command that a worker was told of: its exam, and another key of the line."""
    found = (one for line in lines for one in singles(line))
    return [(one["pk"], one[key]) for one in found if one["event"] == "dispatched"]


def test_places_and_rings(client: Client, app: Celery, server: Settings) -> None:
    """A pushed start lies in its exam's inbox, with its ingress time, and a bell is rung."""
    dispatcher = active(client, app, server)
    entry = push(client, {"pk": "math-7", "duration": 5})

    dispatcher.turn()

    at_ms, _, letter = client.hgetall(keys.inbox("math-7"))[entry.encode()].decode().partition(" ")
    assert entry.partition("-")[0] == at_ms
    assert [entry, None, "exam.start", 5] == json.loads(letter)
    assert [["math-7"]] == [args[0] for args, _, _ in bells(client)]


def traced_ids(client: Client, queue: str = EXAM_QUEUE) -> list[str]:
    """Read the trace ids of the waiting Celery messages, the oldest first."""
    messages = [json.loads(text) for text in client.lrange(queue, 0, -1)]
    return [m["headers"]["traceparent"].split("-")[1] for m in reversed(messages)]


@pytest.mark.parametrize("given", [TRACEPARENT, "00-nonsense", ""])
def test_trace_is_carried(client: Client, app: Celery, server: Settings, given: str) -> None:
    """A command's trace is in its line, letter and message; a bad one is as good as none."""
    fields = {
        "type": "exam.start",
        "data": '{"pk":"a"}',
        **({"traceparent": given} if given else {}),
    }
    entry = str(client.xadd(keys.COMMANDS, fields), "ascii")
    dispatcher = active(client, app, server)
    with capture_logs() as lines:
        dispatcher.turn()

    is_good = given == TRACEPARENT
    trace_id = given.split("-")[1] if is_good else trace.derived(entry).trace_id
    assert trace_id == inbox.read(client, "a").traces[entry].trace_id
    assert [trace_id] == [line["trace_id"] for line in lines if line["event"] == "dispatched"]
    assert [trace_id] == traced_ids(client)
    letter = client.hget(keys.inbox("a"), entry).decode()
    assert is_good == (TRACEPARENT in letter)


def test_trace_of_many(client: Client, app: Celery, server: Settings) -> None:
    """A message for several commands has a trace of its own; their lines have theirs."""
    entries = [push(client, {"pk": "a"}), push(client, {"pk": "a"})]
    dispatcher = active(client, app, server)
    with capture_logs() as lines:
        dispatcher.turn()

    derived = [trace.derived(entry).trace_id for entry in entries]
    assert derived == [line["trace_id"] for line in lines if line["event"] == "dispatched"]
    [rung] = traced_ids(client)
    assert rung not in derived


def test_trace_of_an_echo(client: Client, app: Celery, server: Settings) -> None:
    """An echo's message carries the echo's trace: the worker knows it from nothing else."""
    fields = {"type": "echo", "data": '{"text":"hi"}', "traceparent": TRACEPARENT}
    client.xadd(keys.COMMANDS, fields)

    active(client, app, server).turn()

    assert [TRACEPARENT.split("-")[1]] == traced_ids(client, SLOW_QUEUE)


def test_trace_of_what_is_buried(client: Client, app: Celery, server: Settings) -> None:
    """Also what is no command is found by its trace."""
    bad = {"type": "exam.start", "data": "{}"}
    client.xadd(keys.COMMANDS, {**bad, "traceparent": TRACEPARENT})
    entry = str(client.xadd(keys.COMMANDS, bad), "ascii")
    dispatcher = active(client, app, server)
    with capture_logs() as lines:
        dispatcher.turn()

    ids = [TRACEPARENT.split("-")[1], trace.derived(entry).trace_id]
    assert ids == [line["trace_id"] for line in lines if line["event"] == "buried"]


def test_default_duration(client: Client, app: Celery, server: Settings) -> None:
    """A start that names no duration gets the one of the settings."""
    entry = push(client, {"pk": "a"})

    active(client, app, server).turn()

    letter = client.hget(keys.inbox("a"), entry).decode().partition(" ")[2]
    assert server.exam_duration == json.loads(letter)[3]


def test_forged_id(client: Client, app: Celery, server: Settings) -> None:
    """A command whose entry id was forged into the future came when it was first placed."""
    now_s, _ = client.time()
    future = (now_s + 86_400) * 1000
    entry = push(client, {"pk": "a"}, entry_id=f"{future}-0")

    active(client, app, server).turn()

    at_ms = int(client.hget(keys.inbox("a"), entry).partition(b" ")[0])
    assert now_s * 1000 <= at_ms < future


HOSTILE: dict[str, dict[bytes, bytes]] = {
    "brackets": {b"type": b"exam.start", b"data": b"[" * 100_000},
    "short brackets": {b"type": b"exam.start", b"data": b"[" * 60_000},
    "NaN": {b"type": b"echo", b"data": b'{"text":"a","delay":NaN}'},
    "NUL": {b"type": b"exam.start\0", b"data": b"{}\0"},
    "megabyte": {b"type": b"echo", b"data": b'{"text":"' + b"x" * 2**20 + b'"}'},
    "megabyte of type": {b"type": b"x" * 2**20, b"data": b"{}"},
    "wrong type of value": {b"type": b"exam.start", b"data": b'{"pk":7}'},
    "missing data": {b"type": b"exam.start"},
    "missing type": {b"data": b"{}"},
    "path": {b"type": b"exam.start", b"data": b'{"pk":"../../etc/passwd"}'},
    "not UTF-8": {b"type": b"\xff\xfe", b"data": b"\xff", b"\xff": b"\xff"},
    "half a pair": {b"type": b"echo", b"data": b'{"text":"\\ud800"}'},
    "thousands of fields": {str(i).encode(): b"x" for i in range(5_000)},
    "fraction": {b"type": b"exam.start", b"data": b'{"pk":"a","duration":1.5}'},
    "huge": {b"type": b"exam.start", b"data": b'{"pk":"a","duration":1e999}'},
    "digits": {b"type": b"exam.start", b"data": b'{"pk":"a","duration":' + b"9" * 5000 + b"}"},
}


@pytest.mark.parametrize("fields", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile(client: Client, app: Celery, server: Settings, fields: dict[bytes, bytes]) -> None:
    """What is nobody's command is buried with a reason, and the entry behind it is dispatched."""
    dispatcher = active(client, app, server)
    entry = client.xadd(keys.COMMANDS, fields)
    push(client, {"pk": "behind"})

    dispatcher.turn()

    [(_, dead)] = client.xrange(keys.DEAD)
    assert entry == dead[b"entry"]
    assert dead[b"reason"].decode().isprintable()
    assert [["behind"]] == [args[0] for args, _, _ in bells(client)]
    assert 1 == client.xpending(keys.COMMANDS, keys.GROUP)["pending"]


def test_buried_unchanged(client: Client, app: Celery, server: Settings) -> None:
    """A dead letter holds every original field, byte for byte."""
    fields = {b"type": b"nope", b"data": b"\xff\0", b"entry": b"mine", b"\xfe": b""}
    client.xadd(keys.COMMANDS, fields)

    active(client, app, server).turn()

    [(_, dead)] = client.xrange(keys.DEAD)
    copied = {name[6:]: value for name, value in dead.items() if name.startswith(b"field:")}
    assert fields == copied


def test_backlog(client: Client, app: Celery, server: Settings) -> None:
    """Under backlog a bell names up to 128 exams, each once and in the order of the stream."""
    pks = [f"e{i}" for i in range(256)]
    for pk in pks:
        push(client, {"pk": pk})

    active(client, app, server).turn()

    named = [args[0] for args, _, _ in bells(client)]
    assert pks == [pk for group in named for pk in group]
    assert MOST_PKS == max(len(group) for group in named)


def test_recovers_first(client: Client, app: Celery, server: Settings) -> None:
    """What a dead dispatcher had read is placed before anything newer is read."""
    old = active(client, app, server)
    first = push(client, {"pk": "a"})
    assert old._stream.read_new()  # read, and then it dies
    lease.release(as_dispatcher(client), token="mine")
    push(client, {"pk": "a", "status": "pass"}, type_name="exam.finish")

    active(client, app, server, token="successor")

    assert [first.encode()] == client.hkeys(keys.inbox("a"))


def test_idle_again(client: Client, app: Celery, server: Settings) -> None:
    """An entry that nobody finished is dispatched again, and keeps its first ingress time."""
    dispatcher = active(client, app, server)
    entry = push(client, {"pk": "a"})
    dispatcher.turn()
    before = client.hgetall(keys.inbox("a"))
    client.delete(EXAM_QUEUE)
    leave_alone(client, [entry])

    dispatcher.look_after()
    dispatcher.turn()

    assert before == client.hgetall(keys.inbox("a"))
    assert 1 == len(bells(client))


def test_fresh_is_left_alone(client: Client, app: Celery, server: Settings) -> None:
    """An entry that a task has renewed is not dispatched again."""
    dispatcher = active(client, app, server)
    push(client, {"text": "hi"}, type_name="echo")
    dispatcher.turn()

    dispatcher.look_after()

    assert 1 == len(bells(client, SLOW_QUEUE))


def test_acknowledged_is_not_placed(client: Client, app: Celery, server: Settings) -> None:
    """An entry that was acknowledged while it was in hand is not placed again."""
    dispatcher = active(client, app, server)
    entry = push(client, {"pk": "a"})
    entries = dispatcher._stream.read_new()
    client.xack(keys.COMMANDS, keys.GROUP, entry)

    dispatcher.dispatch(entries or [], redelivered=True)

    assert not client.exists(keys.inbox("a"))


def test_one_active(client: Client) -> None:
    """Of two dispatchers one is active; the other follows as soon as the first lets go."""
    assert lease.take(as_dispatcher(client), token="first")

    assert not lease.take(as_dispatcher(client), token="second")
    lease.release(as_dispatcher(client), token="second")
    assert not lease.take(as_dispatcher(client), token="second")
    lease.release(as_dispatcher(client), token="first")
    assert lease.take(as_dispatcher(client), token="second")


def test_lease_runs_out(client: Client) -> None:
    """A dispatcher that died is succeeded within three seconds."""
    assert lease.take(as_dispatcher(client), token="dead")

    assert 0 < client.pttl(keys.LEASE) < 3_000


def test_dead_is_succeeded_at_once(client: Client, server: Settings) -> None:
    """Who has no connection any more is not waited for; who has one, or may have one, is."""
    dead, heir = lease.new_token(), lease.new_token()
    login = logins.of(server, Role.DISPATCHER)
    with connect(server.redis, login=login, name=dead) as lives:
        assert lease.take(lives, token=dead)
        client.persist(keys.LEASE)  # it does not run out meanwhile
        assert not lease.take(as_dispatcher(client), token=heir)

    wait_until(lambda: lease.take(as_dispatcher(client), token=heir), saying="the heir is active")

    assert client.get(keys.LEASE) == heir.encode()
    client.set(keys.LEASE, "of another version")
    assert not lease.take(as_dispatcher(client), token=dead)


def test_server_that_does_not_tell(client: Client, server: Settings) -> None:
    """Where connections may not be listed the lease runs out, as it would without the look."""
    commands = ["+@all", "-client|list"]
    client.acl_setuser("quiet", enabled=True, nopass=True, commands=commands, keys=["*"])
    client.set(keys.LEASE, lease.new_token())

    with Redis.from_url(server.redis, username="quiet", password="any") as quiet:
        assert not lease.take(quiet, token="heir")

    assert lease.take(as_dispatcher(client), token="heir")
    client.acl_deluser("quiet")


def test_paused_does_no_harm(client: Client, app: Celery, server: Settings) -> None:
    """A dispatcher that lost its lease neither reads nor places nor claims."""
    paused = active(client, app, server)
    push(client, {"pk": "a"})
    in_hand = paused._stream.read_new()
    client.set(keys.LEASE, "successor")
    push(client, {"pk": "b"})

    for act in (
        paused._stream.read_new,
        lambda: paused._stream.read_pending("0"),
        lambda: paused.dispatch(in_hand or [], redelivered=False),
    ):
        with pytest.raises(LeaseLost):
            act()
    assert 1 == client.xinfo_groups(keys.COMMANDS)[0]["lag"]
    assert not client.exists(keys.inbox("a"))


def test_deadline_fires(client: Client, app: Celery, server: Settings) -> None:
    """A deadline that has passed leaves the set and becomes an expiry on the stream."""
    client.zadd(keys.DEADLINES, {"due": 1_000, "open": 4e12})

    fired = promote(as_dispatcher(client)).fired

    [(entry, fields)] = client.xrange(keys.COMMANDS)
    assert [("due", 1_000, entry.decode())] == [(f.pk, f.deadline_ms, f.entry) for f in fired]
    assert {"pk": "due", "deadline": 1_000} == json.loads(fields[b"data"])
    assert [b"open"] == client.zrange(keys.DEADLINES, 0, -1)


def test_expiry_after_deadline(client: Client) -> None:
    """An expiry's ingress time is strictly after its deadline's millisecond."""
    for _ in range(200):
        seconds, microseconds = client.time()
        client.zadd(keys.DEADLINES, {"a": seconds * 1000 + microseconds // 1000})
        while not (fired := promote(as_dispatcher(client)).fired):
            pass
        assert int(fired[0].entry.partition("-")[0]) > fired[0].deadline_ms


def test_next_deadline(client: Client) -> None:
    """The dispatcher is told when the next deadline is due."""
    seconds, _ = client.time()
    client.zadd(keys.DEADLINES, {"a": (seconds + 60) * 1000})

    next_in_ms = promote(as_dispatcher(client)).next_in_ms

    assert next_in_ms is not None
    assert 58_000 < next_in_ms <= 60_000


def test_full_queue(client: Client, app: Celery, server: Settings) -> None:
    """While the exam queue is deep, letters are placed, no worker is told, and deadlines fire."""
    dispatcher = active(client, app, server)
    push(client, {"pk": "a"})
    client.lpush(EXAM_QUEUE, *["x"] * MOST_BELLS)
    client.zadd(keys.DEADLINES, {"due": 1})

    dispatcher.turn()

    assert client.exists(keys.inbox("a"))
    assert MOST_BELLS == client.llen(EXAM_QUEUE)
    assert 0 == client.zcard(keys.DEADLINES)


def test_ends_go_first(client: Client, app: Celery, server: Settings) -> None:
    """When there is room again a result's exam is the first, though it came behind many starts."""
    dispatcher = active(client, app, server)
    client.lpush(EXAM_QUEUE, "x")
    for number in range(2 * READ_COUNT):
        push(client, {"pk": f"start-{number}"})
    push(client, {"pk": "start-7", "status": "pass"}, type_name="exam.finish")
    push(client, {"pk": "other", "deadline": 5}, type_name="exam.expire")
    with capture_logs() as early:
        for _ in range(3):
            dispatcher.turn()
    assert not told(early, "type")
    client.delete(EXAM_QUEUE)

    with capture_logs() as lines:
        dispatcher.turn()

    named = [pk for args, _, _ in bells(client) for pk in args[0]]
    assert ["start-7", "other", "start-0", "start-1"] == named[:4]
    assert READ_COUNT == len(named)
    heard = told(lines, "type")
    assert {"exam.start", "exam.finish"} == {kind for pk, kind in heard if pk == "start-7"}
    assert READ_COUNT + 1 == len(heard)


def test_line_is_told(client: Client, app: Celery, server: Settings) -> None:
    """Gateways hear how many stand in line, since when, and that it is over."""
    dispatcher = active(client, app, server)
    client.lpush(EXAM_QUEUE, "x")
    began = monotonic()
    push(client, {"pk": "a"})
    push(client, {"pk": "b"})
    dispatcher.turn()
    dispatcher._tell_at = 0.0
    dispatcher.turn()
    number, waited_ms = map(int, (client.get(keys.LINE) or b"").split())
    assert 2 == number
    assert 0 <= waited_ms <= 1000 * (monotonic() - began)
    assert 0 < client.pttl(keys.LINE) <= LINE_KEPT_MS

    client.delete(EXAM_QUEUE)
    dispatcher.turn()
    dispatcher.turn()

    assert not client.exists(keys.LINE)


def test_in_line_is_not_idle(client: Client, app: Celery, server: Settings) -> None:
    """Who waits in line is not taken up again, however long; what was lost besides is."""
    dispatcher = active(client, app, server)
    lost = push(client, {"pk": "lost"})
    dispatcher.turn()
    waiting = push(client, {"pk": "waits"})
    dispatcher.turn()  # there is a bell that nobody has taken
    leave_alone(client, [lost, waiting])

    dispatcher.look_after()
    client.delete(EXAM_QUEUE)
    with capture_logs() as lines:
        dispatcher.turn()

    assert [("waits", False), ("lost", True)] == told(lines, "redelivered")


def test_told_late_is_not_idle(
    client: Client, app: Celery, server: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has stood in line for long is not taken up again as soon as a worker was told."""
    monkeypatch.setattr(turns, "STOOD_S", 0.0)
    dispatcher = active(client, app, server)
    client.lpush(EXAM_QUEUE, "x")
    entry = push(client, {"pk": "a"})
    dispatcher.turn()
    leave_alone(client, [entry])
    client.delete(EXAM_QUEUE)
    dispatcher.turn()
    assert [["a"]] == [args[0] for args, _, _ in bells(client)]
    client.delete(EXAM_QUEUE)

    dispatcher.look_after()
    dispatcher.turn()

    assert [] == bells(client)


def test_ring_again_with_a_line(client: Client, app: Celery, server: Settings) -> None:
    """A worker that asks for all bells gets those that were sent; the line stays as it is."""
    dispatcher = active(client, app, server)
    push(client, {"pk": "sent"})
    dispatcher.turn()
    push(client, {"pk": "waits"})
    dispatcher.turn()  # there is a bell that nobody has taken
    client.delete(EXAM_QUEUE)
    client.set(keys.RING_AGAIN, "1")

    with capture_logs() as lines:
        dispatcher.look_after()
        dispatcher.turn()

    assert [("sent", True), ("waits", False)] == sorted(told(lines, "redelivered"))


def test_more_left_than_the_line_holds(
    client: Client, app: Celery, server: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a predecessor left beyond the line's room is placed, and told of when it is idle."""
    monkeypatch.setattr(line, "MOST_HELD", 2)
    old = active(client, app, server)
    client.lpush(EXAM_QUEUE, "x")
    entries = [push(client, {"pk": f"e{number}"}) for number in range(5)]
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"})
    old._line = line.Line()
    old.recover()
    assert 2 == len(old._line)
    assert all(client.exists(keys.inbox(f"e{number}")) for number in range(5))

    rung: list[str] = []
    for _ in range(6):
        client.delete(EXAM_QUEUE)
        old.turn()
        rung += [pk for args, _, _ in bells(client) for pk in args[0]]
        client.xack(keys.COMMANDS, keys.GROUP, *(entries[int(pk[1:])] for pk in rung))
        leave_alone(client, entries)
        old.look_after()

    assert [f"e{number}" for number in range(5)] == rung


def test_line_of_a_predecessor(client: Client, app: Celery, server: Settings) -> None:
    """Who stood in line when a dispatcher died is told of by its successor."""
    dispatcher = active(client, app, server)
    client.lpush(EXAM_QUEUE, "x")
    push(client, {"pk": "a"})
    dispatcher.turn()
    lease.release(as_dispatcher(client), token="mine")
    client.delete(EXAM_QUEUE)

    active(client, app, server, token="successor")

    assert [["a"]] == [args[0] for args, _, _ in bells(client)]


def test_line_is_full(
    client: Client, app: Celery, server: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line holds so many and no more; the rest stays on the stream until there is room."""
    monkeypatch.setattr(line, "MOST_HELD", 3)
    dispatcher = active(client, app, server)
    client.lpush(EXAM_QUEUE, "x")
    for number in range(5):
        push(client, {"pk": f"e{number}"})
    for _ in range(3):
        dispatcher.turn()
    assert 3 == client.xpending(keys.COMMANDS, keys.GROUP)["pending"]

    client.delete(EXAM_QUEUE)
    dispatcher.turn()
    client.delete(EXAM_QUEUE)
    dispatcher.turn()

    assert [["e3"], ["e4"]] == [args[0] for args, _, _ in bells(client)]


def test_echo_route(client: Client, app: Celery, server: Settings) -> None:
    """An echo goes to the slow queue with its text, its ids and the default delay."""
    entry = push(client, {"text": "hi"}, type_name="echo")

    active(client, app, server).turn()

    expected: dict[str, Any] = {"entry": entry, "command_id": entry, "source": None, "text": "hi"}
    expected |= {"delay": server.echo_delay}
    assert [expected] == [kwargs for _, kwargs, _ in bells(client, SLOW_QUEUE)]


def test_echoes_beyond_room(client: Client, app: Celery, server: Settings) -> None:
    """Echoes for which the slow queue has no room stay pending, and hold up no exam."""
    dispatcher = active(client, app, server)
    client.lpush(SLOW_QUEUE, *["x"] * (MOST_ECHOES - 1))
    for _ in range(3):
        push(client, {"text": "hi"}, type_name="echo")
    push(client, {"pk": "a"})

    dispatcher.turn()

    assert MOST_ECHOES == client.llen(SLOW_QUEUE)
    assert [["a"]] == [args[0] for args, _, _ in bells(client)]
    assert 4 == client.xpending(keys.COMMANDS, keys.GROUP)["pending"]


def test_parked_echoes_follow(client: Client, app: Celery, server: Settings) -> None:
    """An echo that found no room goes when there is some again."""
    dispatcher = active(client, app, server)
    client.lpush(SLOW_QUEUE, *["x"] * MOST_ECHOES)
    entry = push(client, {"text": "hi"}, type_name="echo")
    dispatcher.turn()
    client.delete(SLOW_QUEUE)
    slow = keys.SLOW_CONSUMER
    leave_alone(client, [entry], consumer=slow)

    dispatcher.look_after()

    assert [entry] == [kwargs["entry"] for _, kwargs, _ in bells(client, SLOW_QUEUE)]


def test_exams_behind_many_echoes(client: Client, app: Celery, server: Settings) -> None:
    """An exam's idle entry is taken up again, however many idle echoes are older."""
    dispatcher = active(client, app, server)
    echoes = [push(client, {"text": "hi"}, type_name="echo") for _ in range(600)]
    entry = push(client, {"pk": "a"})
    for _ in range(3):
        dispatcher.turn()
    client.delete(EXAM_QUEUE)
    for consumer, ids in ((keys.SLOW_CONSUMER, echoes), (keys.CONSUMER, [entry])):
        leave_alone(client, ids, consumer=consumer)

    dispatcher.look_after()
    dispatcher.turn()

    assert [["a"]] == [args[0] for args, _, _ in bells(client)]


def test_many_idle_entries(client: Client, app: Celery, server: Settings) -> None:
    """An entry behind more than a page of others that are not stale yet is found."""
    dispatcher = active(client, app, server)
    early = [push(client, {"pk": f"e{i}"}) for i in range(1_100)]
    late = push(client, {"pk": "late"})
    for _ in range(6):
        dispatcher.turn()
        client.delete(EXAM_QUEUE)
    leave_alone(client, early, deliveries=4)
    leave_alone(client, [late])

    dispatcher.look_after()

    assert [["late"]] == [args[0] for args, _, _ in bells(client)]


def test_in_hand(client: Client, app: Celery, server: Settings) -> None:
    """The gateway can see that entries are read and not placed yet, and when they are."""
    dispatcher = active(client, app, server)
    push(client, {"pk": "a"})

    entries = dispatcher._stream.read_new()
    assert client.exists(keys.IN_HAND)
    dispatcher.dispatch(entries or [], redelivered=False)
    assert not client.exists(keys.IN_HAND)


def test_in_hand_of_a_predecessor(client: Client, app: Celery, server: Settings) -> None:
    """What a dead dispatcher had in hand counts until the last of it is placed, however long."""
    dispatcher = active(client, app, server)
    push(client, {"pk": "a"})
    dispatcher._stream.read_new()
    assert -1 == client.ttl(keys.IN_HAND)
    seen: list[object] = []
    place = dispatcher._stream.place

    def placing(*args: Any, **kwargs: Any) -> None:
        place(*args, **kwargs)
        seen.append((client.exists(keys.inbox("a")), client.exists(keys.IN_HAND)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatcher._stream, "place", placing)
        dispatcher.recover()

    assert [(1, 1), (1, 0)] == seen


def test_buried_and_read_again(client: Client, app: Celery, server: Settings) -> None:
    """
    An entry that was buried is placed again when the group was made anew.

    Its mark among the times, which is no time, once stopped the dispatcher for good.
    """
    dispatcher = active(client, app, server)
    entry = push(client, {"pk": "a"})
    client.hset(keys.TIMES, entry, keys.BURIED)

    dispatcher.turn()

    ms = entry.partition("-")[0]
    assert client.hget(keys.inbox("a"), entry).startswith(f"{ms} ".encode())


def test_deleted_entry(client: Client, app: Celery, server: Settings, tmp_path: Path) -> None:
    """An entry that was deleted while pending is buried, and holds up nothing."""
    dispatcher = active(client, app, server)
    entry = push(client, {"pk": "a"})
    dispatcher._stream.read_new()
    client.xdel(keys.COMMANDS, entry)

    dispatcher.recover()

    [(_, dead)] = client.xrange(keys.DEAD)
    assert b"the entry was deleted from the stream" == dead[b"reason"]


def test_disk_away(client: Client, app: Celery, server: Settings, tmp_path: Path) -> None:
    """A dispatcher that cannot read the exams' folder goes on with the stream."""
    (tmp_path / "exams").write_text("a disk that is not mounted")
    dispatcher = active(client, app, server.model_copy(update={"data": tmp_path}))
    push(client, {"pk": "a"})

    dispatcher.clean_up()
    dispatcher.turn()

    assert client.exists(keys.inbox("a"))


def test_rings_again(client: Client, app: Celery, server: Settings) -> None:
    """An exam worker that starts gets every bell again at once, whatever became of the first."""
    dispatcher = active(client, app, server)
    push(client, {"pk": "a"})
    dispatcher.turn()
    dispatcher.look_after()
    client.delete(EXAM_QUEUE)  # a worker that was killed took it along

    client.set(keys.RING_AGAIN, "1")
    dispatcher.look_after()
    dispatcher.turn()

    assert [["a"]] == [args[0] for args, _, _ in bells(client)]
    assert not client.exists(keys.RING_AGAIN)
