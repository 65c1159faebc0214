"""Messages in Celery's queues: which are ours, and that of others nothing is left."""

import json
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu.transport import get_transport_cls
from support.hostile import TEXTS
from support.queue_messages import body, headers, message, misshapen, unserialized

from dispatcher.bell import Bells, Message
from dispatcher.routes import ROUTES, Route
from ops import keys, trace
from tasks.app import MAIL_TASK, app
from tasks.envelope import BODIES, Foreign, opened
from tasks.transport import Transport

BAD = {**misshapen(), **unserialized(Path("/nowhere"))}
MAIL = Route(MAIL_TASK, keys.QUEUE_MAIL)
ECHO = {"entry": "1-0", "command_id": "c", "source": None, "text": "\x1b[31m\n", "delay": 0.5}
CALLS: list[tuple[Route, tuple[Any, ...], dict[str, Any]]] = [
    (ROUTES["exam.start"], (["math-7", "a"],), {}),
    (ROUTES["echo"], (), ECHO),
    (ROUTES["echo"], (), {**ECHO, "text": "\U0001f600" * 10_000, "delay": 3600}),
    (MAIL, (), {}),
    (MAIL, (), {"slot_s": 300}),
]


def refused(given: object) -> str:
    """Open a message that is none of ours; return what is said against it."""
    with pytest.raises(Foreign) as caught:
        opened(given, tag="t", queue="exam")
    return str(caught.value)


@pytest.mark.parametrize(("route", "args", "kwargs"), CALLS)
def test_bells_are_ours(route: Route, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """What the dispatcher writes is handed on: the call, its id and its trace."""
    traced = trace.new()
    bell = Message(route=route, task_id="t-1", trace=traced, args=args, kwargs=kwargs)
    [written] = Bells(app).write([bell])[route.queue]

    handed = opened(json.loads(written), tag="new", queue=route.queue)

    assert json.loads(written)["body"] == handed["body"]
    named = handed["headers"]
    assert (route.task, "t-1") == (named["task"], named["id"])
    assert trace.header(traced) == named["traceparent"]
    assert "new" == handed["properties"]["delivery_tag"]


@pytest.mark.parametrize("how", [{}, {"countdown": 60}, {"expires": 300}, {"retries": 3}])
def test_celerys_own_are_ours(how: dict[str, Any]) -> None:
    """What Celery itself writes, for beat or to try again, is handed on with its times."""
    with (
        Celery("test", broker="memory://", set_as_current=False) as own,
        own.connection_for_write() as connection,
        connection.channel() as channel,
    ):
        own.send_task(
            MAIL_TASK,
            kwargs={"slot_s": 300},
            queue="mail",
            producer=own.amqp.Producer(channel),
            retry=False,
            **how,
        )
        raw = channel.basic_get("mail", no_ack=True)._raw

    handed = opened(json.loads(json.dumps(raw)), tag="t", queue="mail")["headers"]

    for name in ("eta", "expires", "retries"):
        assert raw["headers"][name] == handed.get(name)


def test_every_task_has_a_form() -> None:
    """A task that somebody adds is refused until it is said what its messages look like."""
    app.loader.import_default_modules()

    assert {name for name in app.tasks if not name.startswith("celery.")} == set(BODIES)


@pytest.mark.parametrize("transport", ["redis", "rediss"])
def test_transport_is_ours(transport: str) -> None:
    """Whatever Redis a URL names, Celery has its messages through us."""
    assert get_transport_cls(transport) is Transport


@pytest.mark.parametrize("case", BAD)
def test_what_is_none_of_ours(case: str) -> None:
    """What is no call of ours is refused, in a line that holds nothing of what it carried."""
    said = refused(BAD[case])

    assert said.isprintable()
    assert len(said) < 100


@pytest.mark.parametrize("text", TEXTS)
def test_values_are_not_said(text: str) -> None:
    """Whatever a hostile value stands for, the reason does not repeat it."""
    for given_headers in (headers(task=text), headers(eta=text + "!"), headers(retries=text)):
        said = refused(message(body(["a"]), headers=given_headers))
        assert said in {
            *("headers.task: literal_error", "headers.eta: value_error"),
            *("headers.retries: int_type", "headers.eta: string_too_long"),
            *("headers.task: string_unicode", "headers.eta: string_unicode"),
        }
