"""Metrics: what a gateway's `/metrics` says, read as Prometheus reads it."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families


def found(text: str) -> Iterator[Metric]:
    """Read the text; whatever is none of its format raises."""
    yield from text_string_to_metric_families(text)


def value(text: str, name: str, **labels: str) -> float | None:
    """Add up the samples of a name that have these labels; None when there is none."""
    numbers = [
        sample.value
        for metric in found(text)
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(numbers) if numbers else None
