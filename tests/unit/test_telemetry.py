"""Traces for a collector: when they are recorded, and that nobody pays for them otherwise."""

import json
import socket
import subprocess
import sys
from dataclasses import replace
from time import monotonic

import pytest
from structlog.testing import capture_logs

from filestore.fact import Fact, Type
from ops import telemetry, trace
from ops.trace import Trace
from tasks.inbox import Post
from tasks.steps import applying, writing

PARENT = trace.new()
#: What a part imports and does at its start, and one step. redis-py loads OpenTelemetry's metrics
#: wherever they are installed; that is its own affair.
PART = """
import sys, redis, redis.asyncio
before = set(sys.modules)
import {module}
from ops import telemetry, trace
telemetry.start("part")
parent = trace.new()
with telemetry.span("step", parent, dict()) as step:
    assert step is parent
telemetry.stop()
added = set(sys.modules) - before
print([name for name in added if name.startswith("opentelemetry") or name == "ops.recorder"])
"""
MODULES = ("ingest.gateway", "dispatcher.loop", "tasks.exam", "tasks.slow")


@pytest.fixture(autouse=True)
def off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with nothing recorded, and leaves nothing recording."""
    monkeypatch.setattr(telemetry, "_recorder", None)


@pytest.mark.parametrize("module", MODULES)
def test_nobody_pays_who_did_not_ask(module: str) -> None:
    """Without the variables nothing of OpenTelemetry is loaded, installed or not."""
    code = PART.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the variables ask for it and it is not installed, one line says what to install."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "ops.recorder", raising=False)
    with capture_logs() as lines:
        telemetry.start("gateway")

    assert ["telemetry_off"] == [line["event"] for line in lines]
    assert "pip install 'invigil[otel]'" in lines[0]["reason"]
    assert not telemetry.is_on()
    with telemetry.span("step", PARENT, {}) as step:
        assert step is PARENT


@pytest.mark.parametrize(
    ("variables", "exporters"),
    [
        ({}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, ()),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, ("console", "otlp")),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, ()),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "TRUE"}, ()),
    ],
)
def test_what_the_variables_ask_for(variables: dict[str, str], exporters: tuple[str, ...]) -> None:
    """An endpoint or an exporter's name asks for traces; nothing else does."""
    assert exporters == telemetry.wanted(variables)


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
)
def test_what_we_cannot_do(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """What is asked for and not there is named in one line; the part goes on."""
    pytest.importorskip("opentelemetry.sdk")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setenv(name, value)
    with capture_logs() as lines:
        telemetry.start("gateway")

    [line] = lines
    assert line["reason"].startswith(name)
    assert not telemetry.is_on()


def record(monkeypatch: pytest.MonkeyPatch, parent: Trace | None, **variables: str) -> Trace:
    """Record a step with these variables set, and return it."""
    pytest.importorskip("opentelemetry.sdk")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    telemetry.start("gateway")
    with telemetry.span("step", parent, telemetry.ids(pk="math-7")) as step:
        assert step
    return step


def test_console(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The exporter for people writes one JSON line per step, and not where our lines go."""
    step = record(monkeypatch, PARENT, OTEL_TRACES_EXPORTER="console")
    telemetry.stop()

    said = capsys.readouterr()
    written = json.loads(said.err)
    assert "" == said.out
    assert f"0x{PARENT.span_id}" == written["parent_id"]
    assert (PARENT.trace_id, f"0x{step.span_id}") == (step.trace_id, written["context"]["span_id"])
    assert {"invigil.pk": "math-7"} == written["attributes"]
    assert "gateway" == written["resource"]["attributes"]["invigil.part"]


def test_commands_judged_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command's own trace has its step and, below that, the one write of the file."""
    pytest.importorskip("opentelemetry.sdk")
    start = Fact(at_ms=5, entry="5-0", command="c", source=None, type=Type.START, value=60)
    facts = (start, replace(start, entry="6-0", command="d"))
    traces = {fact.entry: trace.derived(fact.entry) for fact in facts}
    post = Post(facts=facts, foreign=(), now_ms=7, attempt=1, traces=traces)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    telemetry.start("worker")
    with applying("a", facts, post) as steps, writing("a", steps):
        pass
    telemetry.stop()

    spans = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    parents = {(span["name"], span["parent_id"]) for span in spans}
    assert {
        *(("apply", f"0x{one.span_id}") for one in traces.values()),
        *(("write", f"0x{step.span_id}") for step in steps),
    } == parents
    assert [one.trace_id for one in traces.values()] == [step.trace_id for step in steps]


def test_failure_is_marked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a step raises goes on, and the step says what it was."""
    record(monkeypatch, None, OTEL_TRACES_EXPORTER="console")
    with pytest.raises(ZeroDivisionError), telemetry.span("broken", PARENT, {}):
        raise ZeroDivisionError
    telemetry.stop()

    *_, last = map(json.loads, capsys.readouterr().err.splitlines())
    assert ("ERROR", "ZeroDivisionError") == (
        last["status"]["status_code"],
        last["status"]["description"],
    )


def test_caller_decides_whether_it_is_recorded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A caller who does not record its trace gets none from us; the ids go on all the same."""
    unsampled = Trace(trace_id=PARENT.trace_id, span_id=PARENT.span_id, flags=0)
    step = record(monkeypatch, unsampled, OTEL_TRACES_EXPORTER="console")
    telemetry.stop()

    assert "" == capsys.readouterr().err
    assert (PARENT.trace_id, 0) == (step.trace_id, step.flags)


def test_silent_collector_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part ends in good time, whether or not anybody takes its last steps."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        silence = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "60"}
        record(monkeypatch, PARENT, **silence)
        began = monotonic()
        telemetry.stop()

    assert monotonic() - began < 30
