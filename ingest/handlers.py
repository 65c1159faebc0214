"""Handlers: one short function per route, from a request to an answer or a refusal."""

import asyncio

import redis.asyncio
import structlog
from aiohttp import web

from filestore.document import Damaged
from filestore.store import Store
from ingest import ids
from ingest.acceptance import Acceptance, key_of
from ingest.answering import Unavailable, answering, takes_commands
from ingest.answers import answer
from ingest.bodies import JSON_TYPE, read_object
from ingest.commands import parse
from ingest.disk import look
from ingest.faults import Fault, InvalidCommand, shorten
from ingest.lookup import Lookup
from ingest.presence import is_unknown
from ingest.problems import Name, Problem, Refusal, of_faults, problem
from ops import keys
from ops.events import Event

#: Seconds that a readiness probe waits for Redis: most probes give up after one.
READY_LIMIT_S = 0.8

#: Whether this process is about to end: it still serves, and others are to be asked instead.
ENDING = web.AppKey("ENDING", asyncio.Event)

log = structlog.get_logger()


class Handlers:
    """The routes, and what they need."""

    def __init__(
        self, *, client: "redis.asyncio.Redis", store: Store, acceptance: Acceptance
    ) -> None:
        self._redis = client
        self._store = store
        self._accept = acceptance.accept
        self._lookup = Lookup(client, store)

    async def start_exam(self, request: web.Request) -> web.Response:
        """``POST /exams {"pk"?, "duration"?}``."""
        values = await read_object(request)
        key = key_of(request)
        pk = values.setdefault("pk", ids.pk_of(key.uuid) if key else ids.new_pk())
        return await self._accept(request, parse("exam.start", values), pk=str(pk))

    async def report_result(self, request: web.Request) -> web.Response:
        """``POST /exams/{pk}/result {"status"}``; 404 only for an exam that nobody started."""
        pk = _pk(request)
        values = await read_object(request)
        if "pk" in values:
            raise InvalidCommand(Fault("pk", "is in the path; the body must not name it again"))
        result = parse("exam.finish", {**values, "pk": pk})
        async with answering():
            if await is_unknown(self._redis, self._store, pk):
                raise Refusal(_unknown(f"exam {pk} has not been started"))
        return await self._accept(request, result, pk=pk)

    async def show_exam(self, request: web.Request) -> web.Response:
        """``GET /exams/{pk}``: the document as it lies on disk."""
        pk = _pk(request)
        try:
            document = await look(self._store.read_whole, pk)
        except Damaged as error:
            await self._note_damage(pk, error)
            said = f"the file of exam {pk} is damaged; what still can be done about it is under way"
            raise Refusal(problem(Name.DAMAGED_EXAM, said)) from error
        if document is None:
            seen = f"exam {pk} is not on disk: its start was never sent, or is still on its way"
            raise Refusal(_unknown(seen))
        return web.Response(body=document, content_type=JSON_TYPE)

    async def echo(self, request: web.Request) -> web.Response:
        """``POST /echo {"text", "delay"?}``."""
        return await self._accept(request, parse("echo", await read_object(request)), pk=None)

    async def show_command(self, request: web.Request) -> web.Response:
        """``GET /commands/{id}``: where a command stands, and which task handled it."""
        name = request.match_info["id"]
        said = await self._lookup.find(name)
        if said is None:
            seen = f"{shorten(name)} is not known: never sent, or no longer kept"
            raise Refusal(of_faults(Name.UNKNOWN_COMMAND, [Fault("id", seen)]))
        return answer(said)

    async def livez(self, _request: web.Request) -> web.Response:
        """``GET /livez``: this process answers."""
        return answer({"status": "alive"})

    async def readyz(self, request: web.Request) -> web.Response:
        """``GET /readyz``: commands can be taken. A dispatcher's absence delays them, no more."""
        if request.app[ENDING].is_set():
            raise Refusal(problem(Name.UNAVAILABLE, "this gateway is about to end; ask another"))
        try:
            async with answering(limit_s=READY_LIMIT_S):
                has_dispatcher = await takes_commands(self._redis)
        except Unavailable as error:
            away = {"redis": "away", "dispatcher": "unknown"}
            raise Refusal(problem(Name.UNAVAILABLE, "no command can be taken", **away)) from error
        dispatcher = "active" if has_dispatcher else "none"
        return answer({"status": "ready", "redis": "ready", "dispatcher": dispatcher})

    async def _note_damage(self, pk: str, error: Damaged) -> None:
        """Note it for the dispatcher, as a worker would who comes upon it; say it once."""
        async with answering():
            if await self._redis.hsetnx(keys.DAMAGED, pk, ""):
                log.error(Event.EXAM_DAMAGED, pk=pk, error=str(error))


def _unknown(message: str) -> Problem:
    return of_faults(Name.UNKNOWN_EXAM, [Fault("pk", message)])


def _pk(request: web.Request) -> str:
    """
    Take the exam's name from the path.

    Raises:
        InvalidCommand: It cannot be one.
    """
    pk = request.match_info["pk"]
    parse("exam.start", {"pk": pk})
    return pk
