"""Admission: the middleware that asks for a key wherever one is needed."""

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.contextvars import bind_contextvars

from ingest.access import ApiKey, Denied, Scope, identify
from ingest.calls.operation import Operation
from ingest.keyring import LOOK_EVERY_S, Keyring, KeysAway
from ingest.problems import Name, Refusal, problem
from ingest.rates import Rates
from ops.events import Event

#: The key that a request came with, where one was needed.
API_KEY = web.RequestKey("API_KEY", ApiKey)
#: Statuses of those who may not do what they ask for.
DENIED = {401, 403}
#: What nobody has described needs as much as any call; nobody learns without a key what there is.
LEAST = Scope.READ

Scopes = Mapping[tuple[str, str], Scope | None]

log = structlog.get_logger()


class Admission:
    """
    Who may call what, and how often.

    Args:
        scopes: Method and path to the scope that a call needs; None: it is open to everyone.
        is_local: Whether only this machine can call. Then nobody needs a key until one was made.
    """

    def __init__(self, keyring: Keyring, rates: Rates, *, scopes: Scopes, is_local: bool) -> None:
        self._keyring = keyring
        self._rates = rates
        self._scopes = scopes
        self._open = {path for (_, path), scope in scopes.items() if scope is None}
        self._is_local = is_local
        self._staying: dict[object, tuple[web.Request, Callable[[], object]]] = {}
        self._watching: asyncio.Task[None] | None = None

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request in, or refuse it; its lines name its key."""
        try:
            key = await self.check(request)
        except Refusal as refusal:
            if refusal.problem.status in DENIED:
                self._rates.deny(request.remote)
            raise
        if key is None:
            return await self._serve_anyone(request, handler)
        self._rates.check(key, request.remote)
        request[API_KEY] = key
        bind_contextvars(key=key.id)  # aiohttp gives each request a context of its own
        return await handler(request)

    async def check(self, request: web.Request) -> ApiKey | None:
        """
        Find whose request it is; None where nobody needs a key.

        Raises:
            Refusal: It may not do what it asks for, or not any more.
        """
        needed = self._needed(request)
        if needed is None:
            return None
        try:
            keys = await self._keyring.keys()
        except KeysAway as error:
            said = "the keys cannot be read; nobody is let in until an operator has looked"
            raise Refusal(problem(Name.UNAVAILABLE, said)) from error
        key = self._identify(request, keys)
        if key and not key.scope.includes(needed):
            request[API_KEY] = key
            said = f"the key {key.id} may {key.scope}; this call needs {needed}"
            raise Refusal(problem(Name.FORBIDDEN, said))
        return key

    def admit_now(
        self, route: tuple[str, str], headers: Sequence[str], address: str | None
    ) -> ApiKey | None:
        """
        Let a request in without waiting for anything, where that is possible.

        Args:
            headers: All that it has by the name of ``Authorization``.

        Returns:
            Its key; None where nobody needs one.

        Raises:
            Denied: It is not to be let in, or not so fast: `admit` is to see to it.
        """
        keys = self._keyring.known
        if keys is None:
            raise Denied("the keys are to be looked at first")
        key = self._whose(keys, headers)
        may = key is None or key.scope.includes(self._scopes[route] or LEAST)
        if not may or (key and not self._rates.has_room(key, address)):
            raise Denied("not with this key, or not now")
        return key

    def lines_at_once(self, request: web.Request) -> int:
        """How many lines of a body `hold` is to be asked for together; 0: as many as there are."""
        key = request.get(API_KEY)
        return self._rates.lines_at_once(key) if key else 0

    async def hold(self, request: web.Request, lines: int) -> None:
        """
        Wait until the key of a request may send so many lines in its body.

        Raises:
            Refusal: That takes too long.
        """
        if key := request.get(API_KEY):
            await self._rates.hold(key, lines)

    @contextlib.contextmanager
    def staying(self, request: web.Request, leave: Callable[[], object]) -> Iterator[None]:
        """Call *leave* when the key of a request that stays is taken back meanwhile."""
        name = object()
        self._staying[name] = (request, leave)
        try:
            yield
        finally:
            del self._staying[name]

    async def start(self, _app: web.Application) -> None:
        """Begin to look at the keys, and after those who stay."""
        # Not in the context of whoever starts it: its lines are nobody's.
        self._watching = asyncio.create_task(self._watch(), context=contextvars.Context())

    async def stop(self, _app: web.Application) -> None:
        """Look after nobody any more."""
        if self._watching:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        self._rates.tell_ended(quiet_s=0)

    async def _watch(self) -> None:
        while True:
            await self._keyring.look()
            await self._look_after_all()
            self._rates.tell_ended()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look_after_all(self) -> None:
        """Look after who stays; a function of its own, which keeps hold of nobody afterwards."""
        for request, leave in tuple(self._staying.values()):
            await self._look_after(request, leave)

    async def _look_after(self, request: web.Request, leave: Callable[[], object]) -> None:
        try:
            await self.check(request)
        except Refusal:
            leave()
        except Exception:  # a bug of ours: who cannot be checked does not stay, others do
            log.exception(Event.FAILED)
            leave()

    async def _serve_anyone(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Serve who needs no key; what an open path does not know is limited like a denial."""
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed:
            if request.path in self._open:
                self._rates.deny(request.remote)
            raise

    def _whose(self, keys: Mapping[str, ApiKey], headers: Sequence[str]) -> ApiKey | None:
        """
        Find whose key headers ``Authorization`` show; None where nobody needs one.

        Raises:
            Denied: Nobody's.
        """
        if self._is_local and not keys:
            return None
        header = headers[0] if len(headers) == 1 else None
        return identify(keys, header, now_ms=time.time_ns() // 1_000_000)

    def _identify(self, request: web.Request, keys: Mapping[str, ApiKey]) -> ApiKey | None:
        try:
            return self._whose(keys, request.headers.getall("Authorization", []))
        except Denied as denied:
            if denied.key:
                request[API_KEY] = keys[denied.key]
            raise Refusal(problem(Name.UNAUTHORIZED, str(denied))) from denied

    def _needed(self, request: web.Request) -> Scope | None:
        if request.path in self._open:  # whatever the method: who may not use one is told so
            return None
        resource = request.match_info.route.resource
        method = "GET" if request.method == "HEAD" else request.method
        return self._scopes.get((method, resource.canonical if resource else ""), LEAST)


def scopes_of(operations: Iterable[Operation]) -> Scopes:
    """Take from each operation what it needs."""
    return {operation.route: operation.scope for operation in operations}
