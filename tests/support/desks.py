"""Desks: turns of the dispatcher and answers of a worker, in the test's own process and order."""

import json
import threading
from typing import Any

from celery import Celery

from dispatcher import lease
from dispatcher.turns import Dispatcher
from filestore.store import Store
from ops import keys
from ops.settings import Settings
from support.client import Client
from support.documents import to_document
from support.users import as_dispatcher, as_worker
from tasks import dead
from tasks.desk import Desk
from tasks.exam import answer

#: Milliseconds that a turn may take on a busy machine until it has read, which renews the lease.
LEASE_MS = 30_000


class Desks:
    """What a test works with: a real server and store, and who works on them when asked to."""

    def __init__(self, client: Client, app: Celery, settings: Settings) -> None:
        self.client = client
        self._worker = as_worker(client)
        self.settings = settings
        self.store = Store(settings.exams)
        self.store.prepare()
        dispatcher = as_dispatcher(client)
        assert lease.take(dispatcher, token="mine")
        stop = threading.Event()
        self.dispatcher = Dispatcher(
            dispatcher, app=app, settings=settings, token="mine", stop=stop, on_turn=lambda: None
        )
        self.dispatcher._stream.ensure_group()

    def push(self, type_name: str, entry: str = "*", **data: object) -> str:
        """Push a command."""
        fields = {"type": type_name, "data": json.dumps(data)}
        return str(self.client.xadd(keys.COMMANDS, fields, id=entry), "ascii")

    def dispatch(self) -> None:
        """Read what is new, and place it. Bells that wait are taken first, as by a worker."""
        self.client.delete(keys.CELERY + keys.QUEUE_EXAM)
        self.client.set(keys.LEASE, "mine", px=LEASE_MS)  # even one about to run out is renewed
        self.dispatcher._fire_at = 0.0  # looks at deadlines, however soon after the last turn
        self.dispatcher.turn()

    def apply(self, pk: str = "a") -> None:
        """Answer the bell."""
        desk = Desk(redis=self._worker, store=self.store, orphan_after_s=300, most_attempts=5)
        answer(pk, desk)

    def document(self, pk: str = "a") -> dict[str, Any]:
        """Read the exam's file."""
        exam = self.store.load(pk)
        assert exam
        return to_document(exam)

    def bury(self, entry: str, pk: str | None = "a") -> str:
        """Set an entry aside as if it had failed too often; return the letter's id."""
        assert dead.bury(self._worker, entry=entry, reason="failed 5 times", pk=pk)
        return str(self.client.xrevrange(keys.DEAD, count=1)[0][0], "ascii")
