"""Traces for a collector: one from the request to the file, over all parts of a real system."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")

from support.client import Client
from support.collector import Collector, Span, collecting
from support.stack import Answer, Stack, running
from support.waiting import wait_until

from ops import keys, trace

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_, TRACE_ID, CALLER, _ = TRACEPARENT.split("-")
#: Longer than the test: what is there came at the end of each process.
NOT_BEFORE_THE_END = {"OTEL_BSP_SCHEDULE_DELAY": "600000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A system that has ended: what it answered, wrote, and sent to the collector."""

    collector: Collector
    traced: Answer
    untraced: Answer
    echoed: Answer
    entry: str
    lines: list[dict[str, Any]]

    def way(self, trace_id: str) -> list[tuple[str, str]]:
        """Names of a trace's spans and the parts that sent them, each the next one's parent."""
        spans = {span.parent_id: span for span in self.collector.of(trace_id).values()}
        [first] = spans.keys() - {span.span_id for span in spans.values()}
        way, at = [], first
        while span := spans.pop(at, None):
            way.append((span.name, span.resource["invigil.part"]))
            at = span.span_id
        assert not spans
        return way


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, redis_url: str | None) -> Iterator[Past]:
    """Start exams with a trace and without, by HTTP and by XADD, and echo; then end it all."""
    folder = tmp_path_factory.mktemp("stack")
    with collecting() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **NOT_BEFORE_THE_END}
        with running(folder, redis_url=redis_url, variables=variables) as stack:
            traced = stack.post("/exams", {"pk": "traced"}, traceparent=TRACEPARENT)
            untraced = stack.post("/exams", {"pk": "untraced"})
            echoed = stack.post("/echo", {"text": "hello", "delay": 0})
            entry = add(stack, "added")
            pks = ("traced", "untraced", "added")
            wait_until(lambda: all(map(stack.has_deadline, pks)), saying="in the books")
            wait_until(lambda: stack.lines("echo_printed"), saying="printed")
            assert [] == collector.spans
            stack.stop()
            yield Past(
                collector=collector,
                traced=traced,
                untraced=untraced,
                echoed=echoed,
                entry=entry,
                lines=stack.lines(),
            )


def add(stack: Stack, pk: str) -> str:
    """Start an exam past the gateway, without a trace."""
    fields = {"type": "exam.start", "data": json.dumps({"pk": pk})}
    client: Client = stack.redis()
    return str(client.xadd(keys.COMMANDS, fields), "ascii")


def step_of(answer: Answer) -> tuple[str, str]:
    """Trace and step that an answer names."""
    found = trace.parse(answer.headers["traceparent"])
    assert found
    return found.trace_id, found.span_id


def test_from_the_request_to_the_file(past: Past) -> None:
    """A request with a trace goes on in it, step by step, to the write of the file."""
    assert [
        ("POST /exams", "gateway"),
        ("dispatch", "dispatcher"),
        ("apply", "worker-exam"),
        ("write", "worker-exam"),
    ] == past.way(TRACE_ID)
    first = past.collector.of(TRACE_ID)["POST /exams"]
    assert (TRACE_ID, CALLER) == (first.trace_id, first.parent_id)
    assert (TRACE_ID, first.span_id) == step_of(past.traced)
    assert {"invigil"} == {span.resource["service.name"] for span in past.collector.spans}


def test_log_lines_have_the_same_trace(past: Past) -> None:
    """Who has found a trace finds its lines, and the other way round."""
    found = {line["event"] for line in past.lines if line.get("trace_id") == TRACE_ID}

    assert {"accepted", "dispatched", "applied"} <= found


def test_spans_name_the_command(past: Past) -> None:
    """Each span says which exam, command and entry it is about, and what was answered."""
    spans = past.collector.of(TRACE_ID)
    body = past.traced.body

    for name in ("POST /exams", "dispatch", "apply"):
        ids = {"pk": "traced", "command_id": body["command_id"], "entry": body["entry"]}
        assert {f"invigil.{key}": value for key, value in ids.items()}.items() <= dict(
            spans[name].attributes
        ).items()
    assert "traced" == spans["write"].attributes["invigil.pk"]
    assert 202 == spans["POST /exams"].attributes["http.response.status_code"]
    assert body["entry"] == spans["dispatch"].attributes["messaging.message.id"]
    assert keys.COMMANDS == spans["dispatch"].attributes["messaging.destination.name"]


def test_request_without_a_trace_begins_one(past: Past) -> None:
    """The first step of a trace of our own has no parent, and the answer names it."""
    trace_id, step = step_of(past.untraced)
    spans: dict[str, Span] = past.collector.of(trace_id)

    assert ["POST /exams", "dispatch", "apply", "write"] == [n for n, _ in past.way(trace_id)]
    assert (step, "") == (spans["POST /exams"].span_id, spans["POST /exams"].parent_id)


def test_entry_without_a_trace(past: Past) -> None:
    """What came past the gateway is in the trace that its lines name."""
    way = past.way(trace.derived(past.entry).trace_id)

    assert ["dispatch", "apply", "write"] == [name for name, _ in way]


def test_echo(past: Past) -> None:
    """An echo's trace ends with the print."""
    assert [
        ("POST /echo", "gateway"),
        ("dispatch", "dispatcher"),
        ("echo", "worker-slow"),
    ] == past.way(step_of(past.echoed)[0])
