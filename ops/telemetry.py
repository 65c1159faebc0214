"""Telemetry: the steps of a trace for a collector, if someone has asked for them; else nothing."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import structlog

from ops.events import Event
from ops.trace import Trace

if TYPE_CHECKING:
    from ops.recorder import Recorder

#: What is known of a step, by the names of OpenTelemetry's conventions.
Attributes: TypeAlias = Mapping[str, str | int]
Parent = TypeVar("Parent", bound=Trace | None)

#: Where a collector is, as the standard has it. Without one, and without an exporter's name,
#: nothing is sent: the standard's default, a collector on this machine, would be a surprise.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

log = structlog.get_logger()
_recorder: "Recorder | None" = None


def start(part: str) -> None:
    """Record from here on, if ``OTEL_*`` asks for it; say so in one line if that cannot be."""
    exporters = wanted(os.environ)
    if not exporters:
        return
    global _recorder  # noqa: PLW0603 - one per process, as the log
    try:
        from ops.recorder import Recorder

        _recorder = Recorder(part=part, exporters=exporters)
    except ModuleNotFoundError as error:
        reason = f"{error.name} is missing; pip install 'invigil[otel]' brings it"
        log.warning(Event.TELEMETRY_OFF, reason=reason)
    except ValueError as error:
        log.warning(Event.TELEMETRY_OFF, reason=str(error))


def stop() -> None:
    """Send what this process still has to send. Each one says so itself, before it ends."""
    if _recorder:
        _recorder.stop()


def is_on() -> bool:
    """Whether steps are recorded."""
    return _recorder is not None


def wanted(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Name the exporters that the variables of OpenTelemetry ask for."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    has_endpoint = any(environment.get(name) for name in ENDPOINTS)
    named = environment.get("OTEL_TRACES_EXPORTER") or ("otlp" if has_endpoint else "none")
    return tuple(name for name in map(str.strip, named.split(",")) if name not in ("", "none"))


def span(
    name: str, parent: Parent, attributes: Attributes, *, kind: str = "internal"
) -> AbstractContextManager[Trace | Parent]:
    """
    Record a step while the context lasts, and yield it for what is sent on.

    When nothing is recorded it yields *parent*, so that what follows hangs on the last step known.

    Args:
        parent: The step before; None: a trace begins here.
        attributes: Read at the end as well: what is found out meanwhile can be added.
        kind: One of OpenTelemetry's: ``server``, ``consumer``, ``internal``.
    """
    return _recorder.span(name, parent, attributes, kind=kind) if _recorder else nullcontext(parent)


def ids(**known: str | None) -> dict[str, str | int]:
    """Name a command in attributes by what it is known by, as in the log's lines."""
    return {f"invigil.{name}": value for name, value in known.items() if value is not None}
