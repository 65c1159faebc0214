"""Messages as the dispatcher writes them, beside those that Celery writes for the same call."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from dispatcher.bell import Bells, Message
from dispatcher.routes import ROUTES
from ops import trace

TRACE = trace.new()
CALLS = [
    Message(route=ROUTES["exam.start"], task_id="t-1", trace=TRACE, args=(["a"],)),
    Message(route=ROUTES["exam.start"], task_id="t-2", trace=TRACE, args=(["b", "c"],)),
    Message(route=ROUTES["echo"], task_id="t-3", trace=TRACE, kwargs={"text": 'Ü "', "delay": 1}),
]


@pytest.fixture
def app() -> Iterator[Celery]:
    """A Celery application that sends nothing anywhere."""
    with Celery("test", broker="memory://", set_as_current=False) as app:
        yield app


def by_celery(app: Celery, call: Message) -> dict[str, Any]:
    """Let Celery send a call; what lies in the queue then."""
    with app.connection_for_write("memory://") as connection, connection.channel() as channel:
        app.send_task(
            call.route.task,
            args=call.args,
            kwargs=dict(call.kwargs),
            queue=call.route.queue,
            task_id=call.task_id,
            headers={trace.NAME: trace.header(call.trace)},
            producer=app.amqp.Producer(channel),
            retry=False,
            ignore_result=True,
        )
        sent: dict[str, Any] = channel._get(call.route.queue)
    return sent


def test_as_celery_writes_them(app: Celery) -> None:
    """Only the tag, which is random, differs; nothing of one call is left in the next."""
    written = Bells(app).write(CALLS)

    ours = [json.loads(text) for queue in ("exam", "slow") for text in written[queue]]
    theirs = [by_celery(app, call) for call in CALLS]
    tags = {one["properties"].pop("delivery_tag") for one in (*ours, *theirs)}
    assert theirs == ours
    assert len(tags) == 2 * len(CALLS)


def test_long_arguments_are_cut(app: Celery) -> None:
    """What monitors are shown of a long call is short; the call itself is whole."""
    text = "x" * 5_000
    call = Message(route=ROUTES["echo"], task_id="t", trace=TRACE, kwargs={"text": text})

    [written] = Bells(app).write([call])["slow"]

    assert len(json.loads(written)["headers"]["kwargsrepr"]) < 1_100
    assert json.loads(written)["body"] == by_celery(app, call)["body"]
