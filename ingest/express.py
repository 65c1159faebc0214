"""
Express: the way of ordinary starts, without a task, a request and six middlewares for each.

When an exam begins, all candidates start at once. Such a request asks for nothing that depends on
how far others are: it is read, checked, and put on the stream with those that came beside it. This
way is for the common case alone. Whatever has anything unusual in it, or is to be refused, goes
through aiohttp's application, whose answers are the same but for what they say.
"""

import time
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import Protocol

import msgspec
import structlog
from aiohttp.http import HttpVersion11, RawRequestMessage

from ingest import hardening, ids
from ingest.acceptance import taken
from ingest.accepted import TYPE, tell
from ingest.access import Denied
from ingest.admission import Admission
from ingest.answering import fault
from ingest.bodies import JSON_TYPE, MAX_BODY_BYTES
from ingest.commands import Command, ExamStart, parse
from ingest.failed import Failed
from ingest.faults import InvalidCommand
from ingest.gauge import Gauge
from ingest.heads import Heads
from ingest.meter import Meter
from ingest.pressure import Kind
from ingest.producer import Producer
from ingest.strict_json import load_plain
from ops import telemetry, trace
from ops.events import Event
from ops.settings import Settings
from ops.trace import Trace

PATH = "/exams"
ROUTE = ("POST", PATH)
#: Headers that an ordinary start may have: none of them changes what is answered. The last one
#: says who asks.
ORDINARY = frozenset(
    {
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"connection",
        b"content-type",
        b"content-length",
        b"authorization",
    }
)
CONTENT_TYPE = JSON_TYPE.encode()
#: How it is counted: by method, route, class of its status, and whether it waited.
LABELS = (*ROUTE, "2xx", "false")

_encode = msgspec.json.Encoder().encode
log = structlog.get_logger()


class Way(Protocol):
    """The connection that a start came on."""

    @property
    def peername(self) -> str | tuple[str, int] | tuple[str, int, int, int] | None:
        """Where it comes from."""

    def answer(self, text: bytes) -> None:
        """Send an answer, unless the client is gone; go on with what came meanwhile."""

    def fail(self, failed: Failed) -> None:
        """Leave it to the application to answer with what went wrong."""

    def abort(self) -> None:
        """Close at once."""


class Express:
    """
    What ordinary starts are taken with.

    Attributes:
        heads: Those that were read before.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        producer: Producer,
        gauge: Gauge,
        admission: Admission,
        meter: Meter,
    ) -> None:
        self.heads = Heads()
        self._producer = producer
        self._gauge = gauge
        self._admission = admission
        self._meter = meter
        headers = hardening.of_every_answer(settings)
        self._headers = "".join(f"{name}: {text}\r\n" for name, text in headers.items())

    def take(self, shown: Sequence[str], body: bytes, way: Way) -> bool:
        """
        Put a start on its way, and see to its answer; or say that it is not an ordinary one.

        Args:
            shown: What its head shows, by `shown_keys`.
        """
        if telemetry.is_on() or (data := read(body)) is None or self._gauge.why(Kind.START):
            return False
        try:
            key = self._admission.admit_now(ROUTE, shown, _address(way))
        except Denied:
            return False
        self._gauge.count()
        name = ids.command_id(ids.new_uuid(), pk=data.pk)
        own = trace.new()
        about = {"command_id": name, "type": TYPE, "pk": data.pk}
        if key:
            about["key"] = key.id
        start = _Start(self, way, own, about)
        command = Command(data=data, id=name, trace=own)
        self._producer.post(command, start, taken=tell)
        return True

    def answer(self, own: Trace, about: Mapping[str, str], entry: str) -> bytes:
        """Write the answer to a start that was taken."""
        said = taken(about["command_id"], entry, pk=about["pk"])
        body = _encode(said) + b"\n"  # of names in ASCII, which `answers` would write alike
        head = (
            f"HTTP/1.1 202 Accepted\r\nLocation: {said['location']}\r\n"
            f"Content-Type: {JSON_TYPE}\r\n{trace.NAME}: {trace.header(own)}\r\n"
            f"Content-Length: {len(body)}\r\nDate: {_date(int(time.time()))}\r\n{self._headers}\r\n"
        )
        return head.encode() + body

    def count(self, took_s: float) -> None:
        """Count a start that was taken."""
        self._meter.accept(TYPE)
        self._meter.time(LABELS, took_s)


class _Start:
    """
    A start on its way: what a future is elsewhere, and the task that waits for it.

    Attributes:
        own: Its trace.
        about: What its log line says of it.
    """

    __slots__ = ("_began_s", "_express", "_is_done", "_way", "about", "own")

    def __init__(self, express: Express, way: Way, own: Trace, about: Mapping[str, str]) -> None:
        self._express = express
        self._way = way
        self.own = own
        self.about = about
        self._is_done = False
        self._began_s = time.perf_counter()

    def done(self) -> bool:
        """Whether it was answered."""
        return self._is_done

    def set_result(self, entry: bytes) -> None:
        """Answer that it was taken."""
        self._is_done = True
        try:
            self._express.count(time.perf_counter() - self._began_s)
            self._way.answer(self._express.answer(self.own, self.about, entry.decode()))
        except Exception:  # a bug of ours: others wait for their answers behind it
            log.exception(Event.FAILED, pk=self.about["pk"])
            self._way.abort()

    def set_exception(self, error: Exception) -> None:
        """Have it answered with what went wrong."""
        self._is_done = True
        self._way.fail(
            Failed(error=fault(error), trace=self.own, about=self.about, began_s=self._began_s)
        )


def shown_keys(head: RawRequestMessage) -> Sequence[str] | None:
    """List what the head of an ordinary start shows as a key; None: it is not the head of one."""
    if (
        head.path != PATH
        or head.method != ROUTE[0]
        or head.version != HttpVersion11
        or (head.should_close or head.upgrade or head.chunked or head.compression)
    ):
        return None
    keys = []
    for spelled, value in head.raw_headers:
        name = spelled.lower()
        if name not in ORDINARY or (name == b"content-type" and value != CONTENT_TYPE):
            return None
        if name == b"authorization":
            keys.append(value.decode("utf-8", "surrogateescape"))
    return keys


def read(body: bytes) -> ExamStart | None:
    """
    Read the body of an ordinary start, which has a name given to it if it has none.

    Returns:
        None for what is to be refused, and for what only a more careful reader can tell from that.
    """
    if len(body) > MAX_BODY_BYTES or (values := load_plain(body)) is None:
        return None
    if "pk" not in values:
        values["pk"] = ids.new_pk()
    try:
        data = parse(TYPE, values)
    except InvalidCommand:
        return None
    assert isinstance(data, ExamStart)
    return data


def _address(way: Way) -> str | None:
    """Where a client comes from, as a request's `remote` has it."""
    peer = way.peername
    return peer[0] if isinstance(peer, tuple) else peer


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    """Write a moment as HTTP has it; it is the same for a second."""
    return formatdate(second, usegmt=True)
