"""`/metrics`: what each gateway counts, and what Redis says of all the others."""

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest
import redis.exceptions
from aiohttp import ClientSession
from prometheus_client.openmetrics import parser as openmetrics
from support.breakable import Breakable
from support.client import Client
from support.desks import Desks
from support.gateway import Http, process, serving
from support.metrics import found, value
from support.users import admin

import tasks.exam
from filestore.exam import Verdict
from filestore.store import Store
from ingest import families
from ingest.readings import look
from ops import keys, tally
from ops.connect import connect_async
from ops.settings import Settings
from tasks import claims, roster, settlement
from tasks.claims import Claim

NDJSON = {"Content-Type": "application/x-ndjson"}
APPLIED = "invigil_commands_applied_total"


@pytest.fixture
async def http(client: Client, server: Settings, tmp_path: Path) -> AsyncIterator[Http]:
    """A client of a gateway on an empty server."""
    async with serving(server.redis, Store(tmp_path / "exams")) as http:
        yield http


async def metrics(http: Http) -> str:
    """Ask for them."""
    response = await http.get("/metrics")
    assert 200 == response.status
    return await response.text()


async def test_an_empty_system(http: Http) -> None:
    """Where nothing has happened there are zeros: no rate begins with its first event."""
    text = await metrics(http)

    assert 1 == value(text, "invigil_redis_up")
    assert 0 == value(text, "invigil_commands_received_total")
    assert 0 == value(text, APPLIED, type="exam.expire", verdict="corrected")
    assert 0 == value(text, "invigil_commands_accepted_total", type="echo")
    assert 0 == value(text, "invigil_commands_lag")
    assert 0 == value(text, "invigil_dispatcher_active")
    assert 0 == value(text, "invigil_workers", queue="exam")


async def test_each_is_explained(http: Http) -> None:
    """Each metric says what it is, in its own words, and is named as Prometheus has it."""
    all_of_them = list(found(await metrics(http)))
    texts = [one.documentation for one in all_of_them]

    assert len(texts) == len(set(texts)) > 30
    assert [] == [one.name for one in all_of_them if len(one.documentation) < 15]
    assert [] == [
        one.name for one in all_of_them if not one.name.startswith(("invigil_", "process_"))
    ]


async def test_accepted_and_refused(http: Http) -> None:
    """What was taken is counted by type, what was not by problem: of requests and of lines."""
    await http.post("/exams", json={"pk": "a"}, headers={"Idempotency-Key": "k"})
    await http.post("/exams", json={"pk": "a"}, headers={"Idempotency-Key": "k"})
    await http.post("/exams", json={"pk": "../a"})
    lines = b'{"type":"echo","data":{"text":""}}\n{\n{"type":"exam.expire","data":{}}\n'
    await http.post("/commands", data=lines * 2, headers=NDJSON)

    text = await metrics(http)

    refused = "invigil_requests_refused_total"
    assert 1 == value(text, "invigil_commands_accepted_total", type="exam.start")
    assert 2 == value(text, "invigil_commands_accepted_total", type="echo")
    assert 3 == value(text, "invigil_commands_received_total")
    assert 1 == value(text, refused, route="/exams", problem="invalid-command")
    assert 2 == value(text, "invigil_lines_refused_total", problem="not-json")
    assert 2 == value(text, "invigil_lines_refused_total", problem="invalid-command")


async def test_nobody_makes_more_of_them(http: Http) -> None:
    """Whatever is asked for, and however, the labels are those of routes and methods."""
    for number in range(30):
        await http.get(f"/exams/exam-{number}")
        await http.get(f"/nowhere/{number}")
    for method in ("PROPFIND", "LOCK", "PUT"):
        await http.request(method, "/exams")

    text = await metrics(http)

    name = "invigil_http_request_duration_seconds_count"
    assert 30 == value(text, name, method="GET", route="/exams/{pk}", status="4xx")
    assert 30 == value(text, name, method="GET", route="other", status="4xx")
    assert 3 == value(text, name, method="other", route="other", status="4xx")
    assert "exam-1" not in text
    assert "PROPFIND" not in text


async def test_waiting_for_a_command_is_not_slowness(http: Http) -> None:
    """A request that waits for what came of its command is told apart from the others."""
    await http.post("/exams", json={}, headers={"Prefer": "wait=1"})
    await http.post("/exams", json={})

    text = await metrics(http)

    name = "invigil_http_request_duration_seconds_count"
    assert [1, 1] == [value(text, name, route="/exams", wait=w) for w in ("true", "false")]


async def test_readers(http: Http) -> None:
    """Who listens to the events is counted for as long as that, and is no slow request."""
    async with http.get("/events"):
        assert 1 == value(await metrics(http), "invigil_event_readers")
    await http.head("/events")  # one that ends by itself
    while value(text := await metrics(http), "invigil_event_readers"):
        pass

    name = "invigil_http_request_duration_seconds_count"
    assert value(text, name, route="/events") is None


async def test_connections(breakable: Breakable, tmp_path: Path) -> None:
    """A gateway counts its clients' connections."""
    with process(tmp_path, breakable.url) as gateway:
        async with ClientSession() as one, ClientSession() as other:
            async with one.get(f"{gateway.url()}/livez"):
                pass
            async with other.get(f"{gateway.url()}/metrics") as response:
                text = await response.text()

    assert 2 == value(text, "invigil_http_connections")


@pytest.mark.parametrize("accepted", ["application/openmetrics-text; version=1.0.0", "text/plain"])
async def test_both_formats(http: Http, accepted: str) -> None:
    """OpenMetrics is given to who asks for it, and is valid by its own parser."""
    response = await http.get("/metrics", headers={"Accept": accepted})
    text = await response.text()

    assert accepted.partition(";")[0] == response.content_type
    if response.content_type != "text/plain":
        assert list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


async def test_what_waits(http: Http, desks: Desks, client: Client) -> None:
    """Lag, pending, their ages, deadlines, queues and dead letters are as Redis has them."""
    seconds, _ = client.time()
    old = f"{(seconds - 100) * 1000}-0"
    client.xadd(keys.COMMANDS, {"type": "exam.start", "data": '{"pk":"a"}'}, id=old)
    client.xreadgroup(keys.GROUP, keys.CONSUMER, {keys.COMMANDS: ">"})
    client.xadd(keys.COMMANDS, {"type": "echo", "data": "{}"})
    client.zadd(keys.DEADLINES, {"a": (seconds - 50) * 1000, "b": (seconds + 50) * 1000})
    client.lpush(keys.CELERY + keys.QUEUE_SLOW, "x", "y")
    client.hset(f"{keys.CELERY}unacked", "x", "y")
    client.hset(keys.DAMAGED, "a", "")

    text = await metrics(http)
    desks.bury(old)
    after = await metrics(http)

    assert (1, 1, 0) == (
        value(text, "invigil_commands_lag"),
        value(text, "invigil_commands_pending", consumer="dispatcher"),
        value(text, "invigil_commands_pending", consumer="slow"),
    )
    assert 99 <= (value(text, "invigil_oldest_pending_seconds", consumer="dispatcher") or 0) < 160
    assert 0 == value(text, "invigil_oldest_pending_seconds", consumer="slow")
    assert 49 <= (value(text, "invigil_deadline_overdue_seconds") or 0) < 110
    assert 2 == value(text, "invigil_deadlines_waiting")
    assert 2 == value(text, "invigil_queue_messages", queue="slow")
    assert 1 == value(text, "invigil_queue_unacked")
    assert 1 == value(text, "invigil_exams_damaged")
    assert 1 == value(text, "invigil_dispatcher_active")
    assert (0, 0) == (
        value(text, "invigil_dead_letters"),
        value(text, "invigil_commands_buried_total"),
    )
    assert (1, 1) == (
        value(after, "invigil_dead_letters"),
        value(after, "invigil_commands_buried_total"),
    )


async def test_redis_away(breakable: Breakable, tmp_path: Path) -> None:
    """While Redis hangs the answer is soon there, says so, and has what is known here."""
    async with serving(breakable.url, Store(tmp_path / "exams")) as http:
        await http.get("/nowhere")
        breakable.freeze()
        began = time.monotonic()
        text = await metrics(http)
        took_s = time.monotonic() - began
        breakable.thaw()
        while not value(await metrics(http), "invigil_redis_up"):
            pass

    assert 0 == value(text, "invigil_redis_up")
    assert 1 == value(text, "invigil_requests_refused_total", problem="no-such-page")
    assert value(text, "invigil_commands_lag") is None
    assert took_s < 5  # without a limit of its own it would be the connection's: 5 s and more


async def test_a_strange_answer_costs_no_other(http: Http, client: Client) -> None:
    """A key that is of another type, or holds what nobody of us wrote, leaves the rest as it is."""
    client.set(keys.DEADLINES, "x")
    strange = {"a": "x", "b": "9999999999999 [", "c": "", "d": "9999999999999 {}"}
    client.hset(keys.WORKERS, mapping=strange)

    text = await metrics(http)

    assert 0 == value(text, "invigil_deadlines_waiting")
    assert 1 == value(text, "invigil_redis_up")
    assert 0 == value(text, "invigil_workers", queue="exam")


async def test_what_may_not_be_asked_is_no_zero(client: Client, server: Settings) -> None:
    """A gateway whose Redis user may not ask for something says so, rather than that it is none."""
    client.execute_command("ACL", "SETUSER", "blind", "on", "nopass", "~*", "+@all", "-zcard")
    async with connect_async(f"{server.redis}?username=blind&password=x") as asking:
        with pytest.raises(redis.exceptions.NoPermissionError, match="zcard"):
            await look(asking)
    client.acl_deluser("blind")


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_counted_once(http: Http, desks: Desks, *, is_done: bool) -> None:
    """A worker that loses Redis as it settles, before it was done or after, counts once."""
    settle = settlement.settle

    def breaking(*args: object, **kwargs: object) -> None:
        if is_done:
            settle(*args, **kwargs)  # type: ignore[arg-type]
        raise redis.exceptions.ConnectionError("the answer was lost")

    desks.push("exam.start", pk="a", duration=5)
    desks.dispatch()
    with (
        patch.object(tasks.exam, "settle", breaking),
        pytest.raises(redis.exceptions.ConnectionError),
    ):
        desks.apply()
    assert int(is_done) == value(await metrics(http), APPLIED, type="exam.start")
    desks.apply()
    desks.apply()

    text = await metrics(http)
    assert 1 == value(text, APPLIED, type="exam.start", verdict="applied")
    assert 1 == value(text, "invigil_command_latency_seconds_count", type="exam.start")


async def test_a_bug_is_counted(http: Http, desks: Desks) -> None:
    """An attempt at a command that meets an error which nobody expected is seen from outside."""
    desks.push("exam.start", pk="a")
    desks.dispatch()
    bug = patch.object(tasks.exam, "transition", side_effect=ZeroDivisionError)
    with bug, suppress(ZeroDivisionError):  # from the third time on each is tried alone
        desks.apply()
    with bug, suppress(ZeroDivisionError):
        desks.apply()
    assert 0 == value(await metrics(http), "invigil_task_failures_total")

    with bug:
        desks.apply()

    assert 1 == value(await metrics(http), "invigil_task_failures_total", task="tasks.exam")


async def test_an_echo_is_counted_once(http: Http, client: Client) -> None:
    """An echo whose acknowledgement is sent twice, as after a lost answer, counts once."""
    client.xgroup_create(keys.COMMANDS, keys.GROUP, id="0", mkstream=True)
    entry = client.xadd(keys.COMMANDS, {"type": "echo", "data": "{}"}).decode()
    client.xreadgroup(keys.GROUP, keys.SLOW_CONSUMER, {keys.COMMANDS: ">"})
    claim = Claim(key=keys.echo(None, "c"), entry=entry, token="t", digest="d")

    claims.settle(client, claim)
    claims.settle(client, claim)
    claims.acknowledge(client, claim, Verdict.DUPLICATE)

    text = await metrics(http)
    assert 1 == value(text, APPLIED, type="echo", verdict="applied")
    assert 0 == value(text, APPLIED, type="echo", verdict="duplicate")


async def test_rung_again(http: Http, desks: Desks) -> None:
    """A dispatcher that finds what another one left says how much it was."""
    desks.push("exam.start", pk="a")
    desks.dispatch()
    assert 0 == value(await metrics(http), "invigil_commands_redelivered_total")

    desks.client.delete(keys.CELERY + keys.QUEUE_EXAM)
    desks.dispatcher.recover()

    assert 1 == value(await metrics(http), "invigil_commands_redelivered_total")


async def test_the_roster(http: Http, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of a queue are added up; one that has said nothing for seconds is not there."""
    about = {"queues": ["exam"], "pool": "prefork", "children": 3, "most": 4, "busy": 2}
    roster.report(client, "one", about)
    roster.report(client, "two", about | {"queues": ["exam", "slow"]})
    text = await metrics(http)
    monkeypatch.setattr(families, "SILENT_MS", -1)
    silent = await metrics(http)

    assert [2, 0, 1] == [
        value(text, "invigil_workers", queue=queue) for queue in ("exam", "mail", "slow")
    ]
    assert 3 == value(text, "invigil_worker_children", queues="exam", pool="prefork")
    assert 2 == value(text, "invigil_worker_children_busy", queues="exam,slow")
    assert 0 == value(silent, "invigil_workers")
    assert value(silent, "invigil_worker_children") is None


def test_the_silent_are_struck_off(client: Client) -> None:
    """Workers that ended without a word do not stay for ever; strangers neither, nor the last."""
    about = {"queues": ["exam"], "pool": "prefork", "children": 3, "most": 4, "busy": 2}
    seconds, _ = client.time()
    long_ago, lately = (seconds - 61) * 1000, (seconds - 20) * 1000
    client.hset(
        keys.WORKERS, mapping={"stranger": "?", "old": f"{long_ago} {{}}", "late": f"{lately} {{}}"}
    )

    roster.report(client, "new", about)

    assert {b"late", b"new"} == set(client.hkeys(keys.WORKERS))
    assert 0 < client.pttl(keys.WORKERS) <= roster.STRUCK_OFF_MS


def test_what_cannot_be_told_is_not_waited_for(breakable: Breakable) -> None:
    """Where Redis is away, what is counted beside the work is left out, and nothing raises."""
    client = admin(breakable.url)
    breakable.kill()

    tally.note(client, "failures:x")
    breakable.start()

    assert not client.exists(keys.METRICS)
    client.close()
