"""Steps: what a collector is told of commands that are dispatched, and what goes on from there."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from dispatcher.report import Read
from ops import keys, telemetry

#: The stream, as the conventions for messaging have it.
STREAM: telemetry.Attributes = {
    "messaging.system": "redis",
    "messaging.destination.name": keys.COMMANDS,
    "messaging.consumer.group.name": keys.GROUP,
    "messaging.operation.name": "dispatch",
    "messaging.operation.type": "process",
}


@contextmanager
def dispatching(reads: Sequence[Read]) -> Iterator[Sequence[Read]]:
    """
    Record one step per command, since each has a trace of its own, and yield them with it.

    Letters and messages then hang on that step. A letter that lies in its inbox already stays on
    the step that placed it; one that is dispatched again is a step beside it.
    """
    if not telemetry.is_on():
        yield reads
        return
    with ExitStack() as steps:
        yield [_follow(read, steps) for read in reads]


def _follow(read: Read, steps: ExitStack) -> Read:
    ids = telemetry.ids(
        entry=read.entry,
        command_id=read.command_id,
        pk=read.pk,
        type=read.command.type,
    )
    about = {**STREAM, "messaging.message.id": read.entry, **ids}
    step = steps.enter_context(telemetry.span("dispatch", read.trace, about, kind="consumer"))
    return replace(read, step=step, command=replace(read.command, trace=step))
