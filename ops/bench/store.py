"""Bench of the file store alone: many exams on the disk, read one by one and in pages."""

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from filestore.exam import Exam, transition
from filestore.fact import Fact, Status, Type
from filestore.store import Store
from ops.bench.report import Report, Series
from ops.bench.tools import Order, need_room, quantile, write_file

#: Exams that are saved together, as a worker does under backlog.
BATCH = 64
#: Exams in a page, and how many pages and single exams are read a round.
PAGE, PAGES, READS = 50, 40, 400
#: Bytes that an exam takes on the disk, with its notes.
ROOM = 12_000

T = TypeVar("T")


def measure(order: Order) -> Report:
    """
    Save *size* exams, of which a third are decided, then read them.

    Raises:
        CannotMeasure: There is no room.
    """
    need_room(order.folder, 100 + (ROOM * order.size >> 20))
    store = Store(order.folder / "store")
    store.prepare()
    tenth = max(BATCH, order.size // 10)
    saved = []
    for first in range(0, order.size, tenth):
        order.tell(f"store: {first:,} of {order.size:,} exams saved")
        saved.append(_save(store, first, min(first + tenth, order.size)))
    order.tell("store: writing the index")
    while sum(store.index.counts().values()) < order.size:
        pass
    read, page, limit = [], [], []
    for at in range(order.rounds):
        order.tell(f"store: reading, round {at + 1} of {order.rounds}")
        step = max(1, order.size // READS)
        pks = [_pk(number * step % order.size) for number in range(READS)]
        read.append(_median_ms(store.load, pks))
        page.append(_median_ms(lambda _: _page(store), range(PAGES)))
        files = [order.folder / f"{at}-{number}" for number in range(READS)]
        limit.append(_median_ms(write_file, files) * 1000)
    return _report(saved, read, page, limit, size=order.size)


def _save(store: Store, first: int, last: int) -> float:
    """Save exams in batches; return microseconds for each."""
    began = time.perf_counter()
    for at in range(first, last, BATCH):
        pks = [_pk(number) for number in range(at, min(at + BATCH, last))]
        with store.lock_together(pks) as ours:
            store.save_all([_exam(pk) for pk in ours])
    return (time.perf_counter() - began) / (last - first) * 1e6


def _exam(pk: str) -> Exam:
    number = int(pk[1:])
    facts = [_fact(Type.START, 3_600, 1_000 * number)]
    if number % 3 == 0:
        facts.append(_fact(Type.FINISH, "pass", 1_000 * number + 500))
    exam = transition(pk, None, facts, task="bench").exam
    assert exam
    return exam


def _fact(kind: Type, value: int | str, at_ms: int) -> Fact:
    entry = f"{at_ms}-0"
    return Fact(at_ms=at_ms, entry=entry, command=entry, source=None, type=kind, value=value)


def _pk(number: int) -> str:
    return f"e{number:07}"


def _page(store: Store) -> None:
    assert store.index.page(status=Status.PASS, limit=PAGE)


def _median_ms(act: Callable[[T], object], things: Iterable[T]) -> float:
    """Do something with each; return the milliseconds of the middle one."""
    took = []
    for thing in things:
        began = time.perf_counter()
        act(thing)
        took.append(1000 * (time.perf_counter() - began))
    return quantile(took, 0.5)


def _report(
    saved: list[float], read: list[float], page: list[float], limit: list[float], *, size: int
) -> Report:
    series = [
        Series(name="a file: write, fsync, rename", unit="µs", values=limit, is_limit=True),
        Series(name=f"an exam saved, {BATCH} together, each tenth", unit="µs", values=saved),
        Series(name=f"an exam loaded, of {size:,}", unit="ms", values=read),
        Series(name=f"a page of {PAGE} by status, of {size:,}", unit="ms", values=page),
    ]
    ratios = {
        "an exam saved, of a file": series[1].median / series[0].median,
        "the last tenth saved, of the first": saved[-1] / saved[0],
    }
    return Report(bench="store", series=series, ratios=ratios)
