"""Bells of many exams: what comes of each is the same as alone, at a fraction of the cost."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any
from unittest.mock import patch

import pytest
from redis.client import Pipeline
from redis.commands.core import Script
from structlog.testing import capture_logs
from support.desks import Desks
from support.users import as_worker

import tasks.exam
from filestore.exam import Exam
from filestore.lock import Locked
from filestore.store import Store
from ops import keys, outage
from ops.audit.wording import singles
from tasks import report
from tasks.desk import Desk
from tasks.exam import exam
from tasks.together import answer_together

PKS = [f"exam-{number}" for number in range(20)]


@pytest.fixture
def task(desks: Desks) -> Iterator[Callable[[], None]]:
    """Answer one bell for all exams, as a worker does."""
    worker = as_worker(desks.client)
    with (
        patch.object(tasks.exam, "redis_client", lambda: worker),
        patch.object(tasks.exam, "store", lambda: desks.store),
    ):
        yield lambda: exam(PKS)


def start_all(desks: Desks) -> None:
    """Have the starts of all exams in their inboxes."""
    for pk in PKS:
        desks.push("exam.start", pk=pk, duration=600)
    desks.dispatch()


def statuses(desks: Desks) -> list[str | None]:
    """Where each exam stands on the disk."""
    found = [desks.store.load(pk) for pk in PKS]
    return [one.standing.status.value if one else None for one in found]


def is_settled(desks: Desks) -> bool:
    """Whether nothing waits and nothing is remembered of an attempt."""
    pending: Any = desks.client.xpending(keys.COMMANDS, keys.GROUP)
    left = desks.client.exists(*map(keys.inbox, PKS)) or desks.client.keys(keys.attempts("*"))
    return not (pending["pending"] or left)


def test_all_at_once(desks: Desks, task: Callable[[], None]) -> None:
    """One bell starts them all and asks Redis twice; the next one ends half of them."""
    start_all(desks)
    executed = patch.object(Pipeline, "execute", autospec=True, side_effect=Pipeline.execute)
    called = patch.object(Script, "__call__", autospec=True, side_effect=Script.__call__)
    with executed as piped, called as asked:
        task()
    assert (2, 0) == (asked.call_count, piped.call_count)  # a look, and the books
    assert ["started"] * 20 == statuses(desks)
    assert is_settled(desks)
    deadlines = dict(desks.client.zrange(keys.DEADLINES, 0, -1, withscores=True))
    assert {pk.encode(): desks.store.load(pk).standing.deadline_ms for pk in PKS} == deadlines  # type: ignore[union-attr]

    for pk in PKS[:10]:
        desks.push("exam.finish", pk=pk, status="pass")
    desks.dispatch()
    task()

    assert ["pass"] * 10 + ["started"] * 10 == statuses(desks)
    assert {b"started": b"20", b"pass": b"10"} == desks.client.hgetall(keys.COUNTS)
    told = [
        (json.loads(fields[b"data"])["pk"], fields[b"type"].decode())
        for _, fields in desks.client.xrange(keys.EVENTS)
    ]
    assert [(pk, "exam.started") for pk in PKS] + [(pk, "exam.pass") for pk in PKS[:10]] == told
    assert 10 == desks.client.zcard(keys.DEADLINES)
    assert is_settled(desks)


def test_lines(desks: Desks, task: Callable[[], None]) -> None:
    """Each command is told of before it is settled, with its own trace, in few lines."""
    start_all(desks)
    with capture_logs() as lines:
        task()

    together = [line for line in lines if line["event"] == "bulk_applied"]
    applied = [one for line in together for one in singles(line)]
    assert PKS == [line["pk"] for line in applied]
    assert len(PKS) == len({line["trace_id"] for line in applied})
    assert 1 <= len(together) < 4
    assert [PKS] == [line["pks"] for line in lines if line["event"] == "deadline_set"]
    assert not [line for line in lines if line["event"] in ("one_by_one", "applied")]


def test_shared_lines_say_the_same(desks: Desks, task: Callable[[], None]) -> None:
    """What shares lines is told of as by a line of its own; what is unusual has its own."""
    start_all(desks)
    task()
    desks.push("exam.start", pk=PKS[0])
    for pk in PKS[1:]:
        desks.push("exam.finish", pk=pk, status="pass")
    desks.push("exam.finish", pk=PKS[1], status="fail")
    desks.dispatch()
    with patch.object(report, "verdicts_together", wraps=report.verdicts_together) as wrapped:
        task()
    [(outcomes, posts)] = [call.args for call in wrapped.call_args_list]

    with capture_logs() as each:
        for pk, outcome in outcomes.items():
            report.verdicts(pk, outcome, posts[pk])
    with capture_logs() as shared:
        report.verdicts_together(outcomes, posts)

    assert len(each) == 21
    assert len(shared) < 8
    told = {one["entry"]: {**one} for line in shared for one in singles(line)}
    assert len(told) == 21
    for one in (*each, *told.values()):
        one.pop("log_level", None)
    for one in each:
        assert told[one["entry"]].items() <= one.items()
        left = one.keys() - told[one["entry"]].keys()
        assert left in (set(), {"verdict", "reason", "source", "redelivered"})
        if left:
            assert (one["verdict"], one["reason"], one["source"]) == ("applied", None, None)


def test_one_is_held(desks: Desks, task: Callable[[], None]) -> None:
    """An exam that another worker has is waited for alone; the others are done by then."""
    start_all(desks)
    with desks.store.lock(PKS[3]):
        worker = as_worker(desks.client)
        desk = Desk(redis=worker, store=desks.store, orphan_after_s=300, most_attempts=5)
        left = answer_together(PKS, desk)
        assert [PKS[3]] == left
        assert [pk for pk in PKS if not desks.store.exists(pk)] == left
    task()

    assert ["started"] * 20 == statuses(desks)
    assert is_settled(desks)


def test_many_are_held(desks: Desks, task: Callable[[], None]) -> None:
    """A worker that stands still holds many exams; who comes after waits for them all once."""
    start_all(desks)
    waits: list[float] = []

    @contextmanager
    def held(_self: Store, pk: str, *, wait_s: float) -> Iterator[None]:
        waits.append(wait_s)
        sleep(0.01)
        if waits:
            raise Locked(pk)
        yield

    with desks.store.lock_together(PKS), patch.object(Store, "lock", held):
        task()

    assert len(PKS) == len(waits)
    assert waits == sorted(waits, reverse=True)
    assert waits[0] - waits[-1] >= 0.01 * (len(PKS) - 1)
    task()
    assert ["started"] * 20 == statuses(desks)


def test_one_is_poison(desks: Desks, task: Callable[[], None]) -> None:
    """One that always fails holds nobody up, whenever the bell rings; in the end it is buried."""
    start_all(desks)
    save_all = Store.save_all

    def fail(self: Store, exams: list[Exam]) -> None:
        if any(one.pk == PKS[7] for one in exams):
            raise ZeroDivisionError("poison")
        save_all(self, exams)

    with patch.object(Store, "save_all", fail), capture_logs() as lines:
        for _ in range(6):
            task()
        assert [line for line in lines if line["event"] == "one_by_one"]
    assert [pk for pk in PKS if not desks.store.exists(pk)] == [PKS[7]]
    [(_, letter)] = desks.client.xrange(keys.DEAD)
    assert b"ZeroDivisionError" in letter[b"error"]
    assert not [pk for pk in PKS if desks.client.exists(keys.inbox(pk))]


def test_one_is_damaged(desks: Desks, task: Callable[[], None]) -> None:
    """A file that is no document is noted; the others are applied."""
    desks.store.path(PKS[0]).write_text("{")
    start_all(desks)
    task()

    assert {PKS[0].encode(): b""} == desks.client.hgetall(keys.DAMAGED)
    assert ["started"] * 19 == [desks.store.load(pk).standing.status.value for pk in PKS[1:]]  # type: ignore[union-attr]


def test_results_before_their_starts(desks: Desks, task: Callable[[], None]) -> None:
    """A result without a start waits, and is judged when that has come."""
    for pk in PKS[:5]:
        desks.push("exam.finish", pk=pk, status="fail")
    desks.dispatch()
    task()
    assert [None] * 20 == statuses(desks)
    assert 5 == desks.client.xpending(keys.COMMANDS, keys.GROUP)["pending"]

    start_all(desks)
    task()
    assert ["fail"] * 5 + ["started"] * 15 == statuses(desks)
    assert is_settled(desks)


def test_foreign_letter(desks: Desks, task: Callable[[], None]) -> None:
    """What no dispatcher wrote is dropped, as alone."""
    start_all(desks)
    desks.client.hset(keys.inbox(PKS[2]), "mine", "x")
    task()

    assert ["started"] * 20 == statuses(desks)
    assert is_settled(desks)


def test_disk_away(desks: Desks, task: Callable[[], None], tmp_path: Path) -> None:
    """While the disk takes nothing all of it stays; no attempt is held against anyone."""
    start_all(desks)
    with patch.object(Store, "save_all", side_effect=OSError(5, "Input/output error")):
        for _ in range(8):
            task()
    assert outage.DISK.is_away
    assert [None] * 20 == statuses(desks)
    assert not desks.client.keys(keys.attempts("*"))
    task()

    assert ["started"] * 20 == statuses(desks)
    assert is_settled(desks)


def test_done_twice(desks: Desks, task: Callable[[], None]) -> None:
    """A worker that is gone before it could settle: the next bell settles, and nothing is twice."""
    start_all(desks)
    gone = patch("tasks.together.settle", side_effect=KeyboardInterrupt)
    with gone, pytest.raises(KeyboardInterrupt):
        task()
    assert ["started"] * 20 == statuses(desks)
    assert not desks.client.exists(keys.DEADLINES)
    task()

    assert 20 == desks.client.zcard(keys.DEADLINES)
    assert {b"started": b"20"} == desks.client.hgetall(keys.COUNTS)
    assert is_settled(desks)
