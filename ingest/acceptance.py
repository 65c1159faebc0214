"""Acceptance: from a valid command to the answer: taken, or, for who waits, what came of it."""

from collections.abc import Mapping, Sequence
from contextvars import copy_context
from types import MappingProxyType

import structlog
from aiohttp import web

from filestore.exam import Reason
from filestore.fact import Type
from ingest import ids, preferences, problems
from ingest.answers import answer
from ingest.batch import Taken
from ingest.bodies import JSON_TYPE
from ingest.commands import Command, Data, ExamFinish
from ingest.gauge import Gauge
from ingest.meter import METER
from ingest.once import HEADER, BadKey, Key, read_key
from ingest.pressure import Kind
from ingest.problems import Name, Refusal, of_faults, problem
from ingest.producer import KeyReused, Producer
from ingest.traces import ABOUT, TRACE
from ingest.verdicts import Judged, Verdicts
from ops import telemetry
from ops.events import Event

#: Which problem a refusal is, for a client that waited for it.
REFUSALS: Mapping[Reason, Name] = MappingProxyType(
    {
        Reason.LATE: Name.LATE,
        Reason.ALREADY_DECIDED: Name.ALREADY_DECIDED,
        Reason.ALREADY_STARTED: Name.ALREADY_STARTED,
        Reason.CONFLICT: Name.CONFLICT,
    }
)

log = structlog.get_logger()


def key_of(request: web.Request) -> Key | None:
    """
    Take the client's own name for its command from the request, where it has one.

    Raises:
        Refusal: The header is there and is none.
    """
    try:
        return read_key(request.headers.getall(HEADER, []))
    except BadKey as error:
        raise Refusal(of_faults(Name.BAD_HEADER, [error.fault])) from error


class Acceptance:
    """How a command gets onto the stream, and what its sender is told."""

    def __init__(self, *, producer: Producer, verdicts: Verdicts, gauge: Gauge) -> None:
        self._producer = producer
        self._gauge = gauge
        self._verdicts = verdicts

    async def accept(self, request: web.Request, data: Data, *, pk: str | None) -> web.Response:
        """
        Answer 202 once Redis has the entry; or later, with what came of it, if that is preferred.

        Raises:
            Refusal: Bad or reused idempotency key; or there is too much to do.
            Unavailable: Redis may have the entry or not.
        """
        self._gauge.check(Kind.RESULT if isinstance(data, ExamFinish) else Kind.START)
        key = key_of(request)
        name = ids.command_id(key.uuid if key else ids.new_uuid(), pk=pk)
        command = Command(data=data, id=name, trace=request[TRACE])
        structlog.contextvars.bind_contextvars(
            command_id=name, type=command.type, **({"pk": pk} if pk else {})
        )
        wait_s = preferences.wait_s(request.headers.getall(preferences.PREFER, []))
        if not (pk and wait_s):
            entry, _ = await self._send(request, command, key, pk=pk)
            return _taken(name, entry, pk=pk)
        applied = {preferences.APPLIED: f"wait={wait_s}"}
        with self._verdicts.expecting(name) as event:
            entry, is_first = await self._send(request, command, key, pk=pk)
            found = await self._verdicts.within(wait_s, event, pk=pk, command=name, is_new=is_first)
        if found is None:
            return _taken(name, entry, pk=pk, headers=applied)
        return _judged(found, pk=pk, headers=applied)

    async def _send(
        self, request: web.Request, command: Command, key: Key | None, *, pk: str | None
    ) -> tuple[str, bool]:
        """Put it on the stream, and say so in the log; return the entry's id, and if it is new."""
        is_first = True
        if key is None:
            entry = await self._producer.send(command, taken=_teller())
        else:
            try:
                entry, is_first = await self._producer.send_once(command, key)
            except KeyReused as error:
                said = f"{HEADER} stands for a command that asked for something else; use another"
                raise Refusal(problem(Name.KEY_REUSED, said)) from error
            log.info(Event.ACCEPTED if is_first else Event.ANSWERED_AGAIN, entry=entry)
        if is_first:
            request.app[METER].accept(command.type)
        if telemetry.is_on():
            named = {"pk": pk} if pk else {}
            request[ABOUT].update(telemetry.ids(entry=entry, command_id=str(command.id), **named))
        return entry, is_first


def location(pk: str) -> str:
    """Say where an exam is to be found."""
    return f"/exams/{pk}"


def taken(name: str, entry: str, *, pk: str | None) -> dict[str, str]:
    """Say that a command was taken, about which exam, and where that is to be found."""
    if pk is None:
        return {"command_id": name, "entry": entry}
    return {"command_id": name, "pk": pk, "entry": entry, "location": location(pk)}


def _teller() -> Taken:
    """Make what says, from elsewhere, that the command of this context was taken."""
    context = copy_context()

    def tell(some: Sequence[tuple[object, str]]) -> None:
        for _, entry in some:
            log.info(Event.ACCEPTED, entry=entry)

    return lambda some: context.run(tell, some)


def _taken(
    name: str, entry: str, *, pk: str | None, headers: Mapping[str, str] | None = None
) -> web.Response:
    where = {"Location": location(pk)} if pk else {}
    return answer(taken(name, entry, pk=pk), status=202, headers={**where, **(headers or {})})


def _judged(found: Judged, *, pk: str, headers: Mapping[str, str]) -> web.Response:
    """Answer with the exam; or with the refusal, which has the exam in it."""
    record = found.record
    if found.reason is None:
        is_start = record["type"] == Type.START
        where = {"Location": location(pk)} if is_start else {}
        return web.Response(
            body=found.document,
            status=201 if is_start else 200,
            headers={**where, **headers},
            content_type=JSON_TYPE,
        )
    refusal = problem(
        REFUSALS[found.reason],
        f"exam {pk}, {record['type']} of {record['at']}: {found.reason}",
        command_id=record["command"],
        entry=record["entry"],
        exam=found.exam(),
    )
    return answer(
        refusal.document(),
        status=refusal.status,
        headers=headers,
        content_type=problems.CONTENT_TYPE,
    )
