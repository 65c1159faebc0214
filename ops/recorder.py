"""
Recorder: OpenTelemetry, as `ops.telemetry` uses it. Nobody else imports this.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from ops.trace import SAMPLED, Trace

#: Seconds to send what is left when a process ends; a collector may be away. `up` waits 8 s for
#: a part, of which the gateway gives its clients 5.
FLUSH_S = 2.0
#: How we can send: the other protocol needs another package, of many megabytes.
PROTOCOL = "http/protobuf"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def _otlp() -> SpanExporter:
    return OTLPSpanExporter()


def _console() -> SpanExporter:
    """Write one line per step, as all lines of ours are; it goes where warnings go."""
    return ConsoleSpanExporter(out=sys.stderr, formatter=_line)


def _line(span: ReadableSpan) -> str:
    return str(span.to_json(indent=None)) + "\n"


EXPORTERS: Mapping[str, Callable[[], SpanExporter]] = {"otlp": _otlp, "console": _console}


class Recorder:
    """
    The steps of one part, in each of its processes.

    What sends them is a thread, which no fork takes along: each process makes its own when it has
    its first step to record, and a pool's main process, which has none, never forks beside one.
    """

    def __init__(self, *, part: str, exporters: Sequence[str]) -> None:
        """
        Take what was asked for; no thread runs yet.

        Raises:
            ValueError: Something that we cannot do was asked for.
        """
        if unknown := sorted(set(exporters) - set(EXPORTERS)):
            raise ValueError(f"OTEL_TRACES_EXPORTER: {unknown[0]!r} is none of {[*EXPORTERS]}")
        spoken = next(filter(None, map(os.environ.get, PROTOCOLS)), PROTOCOL)
        if "otlp" in exporters and spoken != PROTOCOL:
            raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL: only {PROTOCOL} is spoken here")
        name = os.environ.get("OTEL_SERVICE_NAME") or "invigil"
        self._resource = Resource.create({"service.name": name, "invigil.part": part})
        # Here, since the libraries it loads take a while: no first request should wait for that.
        self._exporters = [EXPORTERS[name]() for name in exporters]
        self._lock = threading.Lock()
        self._of: tuple[int, TracerProvider] | None = None

    @contextmanager
    def span(
        self, name: str, parent: Trace | None, attributes: Mapping[str, str | int], *, kind: str
    ) -> Iterator[Trace]:
        """Record a step; see `ops.telemetry.span`."""
        step = self._tracer().start_span(
            name,
            context=_context(parent),
            kind=api.SpanKind[kind.upper()],
            attributes=attributes,
        )
        try:
            yield _trace(step.get_span_context())
        except Exception as error:
            step.record_exception(error)
            step.set_status(api.StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            step.set_attributes(attributes)
            step.end()

    def stop(self) -> None:
        """Send what is left, for `FLUSH_S` at most: a collector that is away holds up nobody."""
        if self._of is None or self._of[0] != os.getpid():
            return
        flush = threading.Thread(target=self._of[1].shutdown, daemon=True)
        flush.start()
        flush.join(FLUSH_S)

    def _tracer(self) -> api.Tracer:
        with self._lock:
            if self._of is None or self._of[0] != os.getpid():
                self._of = (os.getpid(), self._provider())
            return self._of[1].get_tracer("invigil")

    def _provider(self) -> TracerProvider:
        resource = self._resource.merge(Resource({"process.pid": os.getpid()}))
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in self._exporters:
            provider.add_span_processor(BatchSpanProcessor(exporter))
        return provider


def _context(parent: Trace | None) -> Context:
    """Say what comes before a step; never what else this process is doing."""
    if parent is None:
        return Context()
    before = api.SpanContext(
        trace_id=int(parent.trace_id, 16),
        span_id=int(parent.span_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(parent.flags),
    )
    return api.set_span_in_context(api.NonRecordingSpan(before), Context())


def _trace(own: api.SpanContext) -> Trace:
    return Trace(
        trace_id=api.format_trace_id(own.trace_id),
        span_id=api.format_span_id(own.span_id),
        flags=own.trace_flags & SAMPLED,
    )
