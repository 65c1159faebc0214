"""Tallied: what workers and the dispatcher have counted in Redis, as metrics. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from filestore.exam import Verdict
from ingest.commands import TYPES
from ops import tally

_TASKS = ("tasks.exam", "tasks.mail", "tasks.slow.echo")
_MOVED = (Verdict.APPLIED, Verdict.DUPLICATE, Verdict.CORRECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    A kind of `ops/tally.py` as a metric.

    Attributes:
        said: What it says, for people.
        labels: Their names.
        always: Their values that are there, at zero, before anything has happened: a rate is seen
            from the second value on.
    """

    name: str
    said: str
    labels: tuple[str, ...] = ()
    always: tuple[tuple[str, ...], ...] = ((),)


COUNTED: Mapping[str, Kind] = {
    tally.APPLIED: Kind(
        name="invigil_commands_applied",
        said="Commands that were judged and acknowledged, by type, verdict, and the reason of a "
        "refusal. Each is counted once, in the transaction that acknowledges it.",
        labels=("type", "verdict", "reason"),
        always=tuple((kind, verdict, "") for kind in TYPES for verdict in _MOVED),
    ),
    tally.MAILS: Kind(
        name="invigil_mails",
        said="Digest mails, by outcome: sent, or failed at the mail server, to be tried again.",
        labels=("outcome",),
        always=(("sent",), ("failed",)),
    ),
    tally.FAILURES: Kind(
        name="invigil_task_failures",
        said="Tasks, or attempts at a command within one, that met an error which nobody expected: "
        "a bug. The log says which (failed).",
        labels=("task",),
        always=tuple((task,) for task in _TASKS),
    ),
    tally.RETRIES: Kind(
        name="invigil_task_retries",
        said="Tasks that asked to be run again later, as a mail does whose server is away.",
        labels=("task",),
        always=tuple((task,) for task in _TASKS),
    ),
    tally.REDELIVERED: Kind(
        name="invigil_commands_redelivered",
        said="Commands for which the bell was rung another time: a worker or a dispatcher ended "
        "with them in hand, or was slow.",
    ),
}
TIMED: Mapping[str, Kind] = {
    tally.LATENCY: Kind(
        name="invigil_command_latency_seconds",
        said="Time from a command's arrival on the stream until its effect was on disk, by type, "
        "on Redis' clock. One that was dead and put back counts from its first arrival.",
        labels=("type",),
        always=(("exam.start",), ("exam.finish",)),
    ),
    tally.LATENESS: Kind(
        name="invigil_absent_lateness_seconds",
        said="Time from an exam's deadline until it was absent on disk, on Redis' clock.",
    ),
}


def tallied(fields: Mapping[bytes, bytes]) -> Iterator[Metric]:
    """Make metrics of all that was counted."""
    for name, kind in COUNTED.items():
        yield _counter(kind, tally.read(fields, name))
    for name, kind in TIMED.items():
        yield _histogram(kind, tally.read(fields, name))


def _counter(kind: Kind, found: Mapping[tuple[str, ...], int]) -> Metric:
    counter = CounterMetricFamily(kind.name, kind.said, labels=kind.labels)
    for values, number in {**dict.fromkeys(kind.always, 0), **found}.items():
        if len(values) == len(kind.labels):
            counter.add_metric(values, number)
    return counter


def _histogram(kind: Kind, found: Mapping[tuple[str, ...], int]) -> Metric:
    histogram = HistogramMetricFamily(kind.name, kind.said, labels=kind.labels)
    bounds = [*map(str, tally.BOUNDS_S), tally.ABOVE]
    for values in kind.always:
        sums = accumulate(found.get((*values, bound), 0) for bound in bounds)
        sum_s = found.get((*values, tally.SUM_MS), 0) / 1000
        histogram.add_metric(values, list(zip(bounds, sums, strict=True)), sum_s)
    return histogram
