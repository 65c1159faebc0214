"""Bell: send Celery messages, many in one round trip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from celery import Celery

from dispatcher.routes import Route
from ops import trace
from ops.trace import Trace
from tasks.inbox import Letter


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


def send(app: Celery, messages: Sequence[Message]) -> None:
    """
    Send *messages* in batches, one round trip each.

    Raises:
        kombu.exceptions.OperationalError: Or an error of redis-py: the broker is away. Some may
            have been sent; their entries are delivered again, which harms nothing.
    """
    with app.producer_pool.acquire(block=True) as producer, producer.batch():
        for message in messages:
            app.send_task(
                message.route.task,
                args=message.args,
                kwargs=dict(message.kwargs),
                queue=message.route.queue,
                task_id=message.task_id,
                headers={trace.NAME: trace.header(message.trace)},
                producer=producer,
                retry=False,
                ignore_result=True,
            )
