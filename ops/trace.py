"""
Trace: which request a command goes back to, as W3C Trace Context writes it. Pure, but for chance.

Source: https://www.w3.org/TR/trace-context-1/
"""

import re
from dataclasses import dataclass, replace
from hashlib import sha256

from ops import chance

#: Name of the header, on HTTP and on Celery's messages, and of the field on the stream.
NAME = "traceparent"
#: The one flag that the first version knows: who sent it may have recorded it. So do our lines.
SAMPLED = 0x01

#: Nearly all of them are so: of our version, and nothing behind it.
_OURS = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NOBODY = frozenset({"0" * 32, "0" * 16})
_FORM = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """
    One step of a trace.

    Attributes:
        trace_id: 32 hex characters, the same in every step.
        span_id: 16 hex characters, this step's own; what the next one calls its parent.
        flags: `SAMPLED`, or 0: those that we do not know are not passed on, as the W3C has it.
    """

    trace_id: str
    span_id: str
    flags: int = SAMPLED


def parse(text: str) -> Trace | None:
    """
    Read a ``traceparent``; None for one that is none.

    Of a version that we do not know the four fields of ours are taken, whatever follows them.
    """
    if found := _OURS.fullmatch(text):
        trace_id, span_id, flags = found.groups()
    else:
        found = _FORM.fullmatch(text)
        if not found or not _is_version(found["version"], has_more=found["more"] is not None):
            return None
        trace_id, span_id, flags = found["trace"], found["span"], found["flags"]
    if trace_id in _NOBODY or span_id in _NOBODY:
        return None
    return Trace(trace_id=trace_id, span_id=span_id, flags=int(flags, 16) & SAMPLED)


def header(trace: Trace) -> str:
    """Write a ``traceparent``, in the version that we know."""
    return f"00-{trace.trace_id}-{trace.span_id}-{trace.flags:02x}"


def new() -> Trace:
    """Begin a trace."""
    made = chance.noise(24).hex()
    return Trace(trace_id=made[:32], span_id=made[32:])


def child(trace: Trace) -> Trace:
    """Make the next step of the same trace."""
    return replace(trace, span_id=chance.noise(8).hex())


def derived(entry: str) -> Trace:
    """
    Make the trace of an entry that came without one.

    From its id alone, so that every dispatcher and worker that sees the entry comes to the same.
    """
    digest = sha256(entry.encode()).hexdigest()
    return Trace(trace_id=digest[:32], span_id=digest[32:48])


def _is_version(version: str, *, has_more: bool) -> bool:
    """Whether a version is one, and may have more than four fields."""
    return version != "ff" and not (version == "00" and has_more)
