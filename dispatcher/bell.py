"""Bell: write Celery messages as Celery does, without asking it for each one."""

import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from celery import Celery

from dispatcher.routes import Route
from ops import trace
from ops.trace import Trace
from tasks.inbox import Letter

#: Characters of a call's arguments that its headers show, for monitors; Celery shows as many.
MOST_SHOWN = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    One call of a task; its id is known before it is sent, so that the log can name it.

    Attributes:
        trace: Of what it is sent for; goes out as a header, where other tools look for it.
    """

    route: Route
    task_id: str
    trace: Trace
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def new_task_id() -> str:
    """Make a task id, as Celery makes them."""
    return str(uuid4())


def trace_for(pks: Sequence[str], letters: Sequence[Letter]) -> Trace:
    """Go on with the trace of the one command that a bell is for; begin one when it is for many."""
    named = set(pks)
    own = [letter.trace or trace.derived(letter.entry) for letter in letters if letter.pk in named]
    return trace.child(own[0]) if len(own) == 1 else trace.new()


class Bells:
    """
    Writes messages for the queues of an application.

    Celery needs a millisecond for each call that it writes, and all of them differ in a few values
    only: it is asked once per task, and the values are filled in.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._forms: dict[Route, Mapping[str, Any]] = {}

    def write(self, messages: Sequence[Message]) -> dict[str, list[str]]:
        """
        Write *messages* as they are to lie in their queues.

        Returns:
            Queue to messages, in order. LPUSH them as they are; kombu takes them from the right.
        """
        queues: dict[str, list[str]] = defaultdict(list)
        for message in messages:
            queues[message.route.queue].append(_fill_in(self._form(message.route), message))
        return queues

    def _form(self, route: Route) -> Mapping[str, Any]:
        if route not in self._forms:
            self._forms[route] = _ask(self._app, route)
        return self._forms[route]


def _ask(app: Celery, route: Route) -> Mapping[str, Any]:
    """Have Celery call a task, and keep what comes out at kombu's other end."""
    with app.connection_for_write("memory://") as connection, connection.channel() as channel:
        app.send_task(
            route.task,
            queue=route.queue,
            producer=app.amqp.Producer(channel),
            retry=False,
            ignore_result=True,
        )
        written = channel.basic_get(route.queue, no_ack=True)
    return {
        "content-encoding": written.content_encoding,
        "content-type": written.content_type,
        "headers": written.headers,
        "properties": written.properties,
    }


def _fill_in(form: Mapping[str, Any], message: Message) -> str:
    """
    Make of a call without arguments this one.

    Sources: https://docs.celeryq.dev/en/stable/internals/protocol.html on body and headers;
    `kombu.transport.virtual` on what surrounds them, the same for Redis as for memory.
    """
    body = [message.args, message.kwargs, _NOTHING_FOLLOWS]
    named = {
        "id": message.task_id,
        "root_id": message.task_id,
        "argsrepr": repr(message.args)[:MOST_SHOWN],
        "kwargsrepr": repr(message.kwargs)[:MOST_SHOWN],
        trace.NAME: trace.header(message.trace),
    }
    properties = {"correlation_id": message.task_id, "delivery_tag": str(uuid4())}
    return json.dumps(
        {
            **form,
            "body": b64encode(json.dumps(body).encode()).decode(),
            "headers": {**form["headers"], **named},
            "properties": {**form["properties"], **properties},
        }
    )


_NOTHING_FOLLOWS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
