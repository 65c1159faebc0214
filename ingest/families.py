"""Families: what Redis tells of the whole system, as metrics. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from filestore.fact import Status
from ingest.readings import CONSUMERS, QUEUES, Readings
from ingest.tallied import tallied
from ops.lag import ours

#: Milliseconds for which a worker that says nothing is believed to be there: three reports.
SILENT_MS = 6_000
_NOBODY: Mapping[str, Any] = {"consumers": ()}


class Worker(msgspec.Struct, frozen=True):
    """What a worker says of itself: `tasks/roster.py`."""

    queues: list[str]
    pool: str
    children: int
    most: int
    busy: int

    @property
    def labels(self) -> tuple[str, str]:
        """By what its children are told apart from others'."""
        return ",".join(self.queues), self.pool


def families(readings: Readings) -> Iterator[Metric]:
    """Make the metrics of the whole system; of what is not there, there is none."""
    now_ms = readings["time"][0] * 1000 + readings["time"][1] // 1000
    yield from tallied(readings["counted"] or {})
    yield from _stream(readings, now_ms)
    yield from _waiting(readings, now_ms)
    yield from _workers(readings["workers"] or {}, now_ms)
    yield from _redis(readings)


def gauge(name: str, said: str, value: float) -> Metric:
    """Make a metric that is one number."""
    return GaugeMetricFamily(name, said, value=value)


def _stream(readings: Readings, now_ms: int) -> Iterator[Metric]:
    """Tell of the stream of commands and its group; a lag that Redis cannot tell is left out."""
    stream = readings["commands"] or {"entries-added": 0, "length": 0}
    yield CounterMetricFamily(
        "invigil_commands_received",
        "Entries that the stream of commands ever got, whoever put them there: gateways, "
        "producers, and the dispatcher for each deadline.",
        value=stream["entries-added"],
    )
    yield gauge(
        "invigil_stream_length",
        "Entries of the stream of commands, those that are done with among them.",
        stream["length"],
    )
    group = ours(readings["groups"] or ())
    lag = group["lag"] if group else None
    if readings["commands"] is None or lag is not None:
        yield gauge(
            "invigil_commands_lag",
            "Commands on the stream that the dispatcher has not read.",
            lag or 0,
        )
    pending = GaugeMetricFamily(
        "invigil_commands_pending",
        "Commands that were read and are not acknowledged, by consumer: dispatcher has those of "
        "exams, slow the echoes.",
        labels=("consumer",),
    )
    oldest = GaugeMetricFamily(
        "invigil_oldest_pending_seconds",
        "How long ago the oldest of them came, by consumer; 0 when there is none. A result that "
        "waits for its start, and an echo that sleeps, are pending all the while.",
        labels=("consumer",),
    )
    held = {one["name"]: one["pending"] for one in (readings["pending"] or _NOBODY)["consumers"]}
    for consumer in CONSUMERS:
        pending.add_metric((consumer,), held.get(consumer.encode(), 0))
        oldest.add_metric((consumer,), _age_s(readings[f"oldest {consumer}"], now_ms))
    yield pending
    yield oldest


def _waiting(readings: Readings, now_ms: int) -> Iterator[Metric]:
    """Tell of all that waits besides the stream."""
    depth = GaugeMetricFamily(
        "invigil_queue_messages",
        "Celery messages that wait for a worker, by queue. Exam messages are at most a few: what "
        "there is no worker for stays on the stream.",
        labels=("queue",),
    )
    for queue in QUEUES:
        depth.add_metric((queue,), readings[f"queue {queue}"] or 0)
    yield depth
    yield gauge(
        "invigil_queue_unacked",
        "Celery messages that a worker has taken and not finished with; those of killed workers "
        "stay for ten minutes.",
        readings["unacked"] or 0,
    )
    yield gauge(
        "invigil_deadlines_waiting",
        "Exams that are open, as their deadlines are set.",
        readings["deadlines"] or 0,
    )
    first = readings["next deadline"]
    yield gauge(
        "invigil_deadline_overdue_seconds",
        "How long ago the earliest deadline passed that the dispatcher has not turned into a "
        "command; 0 when none has.",
        max(0.0, (now_ms - first[0][1]) / 1000) if first else 0.0,
    )
    changed = CounterMetricFamily(
        "invigil_exams_changed",
        "Changes of exams to a status: what the digest mails count.",
        labels=("status",),
    )
    counts = readings["changed"] or {}
    for status in Status:
        changed.add_metric((status,), int(counts.get(status.encode(), 0)))
    yield changed


def _workers(fields: Mapping[bytes, bytes], now_ms: int) -> Iterator[Metric]:
    """Tell of the workers that have said lately that they are there."""
    found = [one for text in fields.values() if (one := _worker(text, now_ms))]
    workers = GaugeMetricFamily(
        "invigil_workers",
        "Workers that serve a queue and said so within the last 6 s.",
        labels=("queue",),
    )
    for queue in QUEUES:
        workers.add_metric((queue,), sum(queue in one.queues for one in found))
    yield workers
    for name, key, said in (
        ("invigil_worker_children", "children", "Processes, or places for green threads, by pool."),
        ("invigil_worker_children_most", "most", "How many of them its autoscaler may make."),
        ("invigil_worker_children_busy", "busy", "How many of them are at work on a task."),
    ):
        family = GaugeMetricFamily(name, said, labels=("queues", "pool"))
        for pool in sorted({one.labels for one in found}):
            family.add_metric(pool, sum(getattr(one, key) for one in found if one.labels == pool))
        yield family


def _redis(readings: Readings) -> Iterator[Metric]:
    dead = readings["dead"] or {"entries-added": 0, "length": 0}
    yield gauge("invigil_dead_letters", "Entries set aside that wait for people.", dead["length"])
    yield CounterMetricFamily(
        "invigil_commands_buried", "Entries ever set aside for people.", value=dead["entries-added"]
    )
    yield gauge(
        "invigil_exams_damaged",
        "Exams whose file is damaged, and is not made anew yet or cannot be.",
        readings["damaged"] or 0,
    )
    events = readings["events"] or {"length": 0}
    yield gauge("invigil_events_length", "Entries of the stream of events.", events["length"])
    yield gauge(
        "invigil_dispatcher_active",
        "1 while a dispatcher holds the lease, else 0.",
        int(bool(readings["lease"])),
    )
    if memory := readings["memory"]:
        yield gauge("invigil_redis_memory_bytes", "Memory that Redis uses.", memory["used_memory"])
        yield gauge(
            "invigil_redis_memory_max_bytes",
            "Memory that Redis may use (maxmemory); 0: no limit is set.",
            memory.get("maxmemory", 0),
        )


def _age_s(found: Any, now_ms: int) -> float:
    """Tell how long ago an entry came; one with a forged id came just now."""
    if not found:
        return 0.0
    return max(0.0, (now_ms - int(found[0]["message_id"].partition(b"-")[0])) / 1000)


def _worker(text: bytes, now_ms: int) -> Worker | None:
    """Read what a worker said of itself; None when that is too long ago, or nothing of ours."""
    at_ms, _, about = text.partition(b" ")
    try:
        if now_ms - int(at_ms) > SILENT_MS:
            return None
        return msgspec.json.decode(about, type=Worker)
    except (ValueError, msgspec.MsgspecError):
        return None
