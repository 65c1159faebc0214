"""Calls: which Celery tasks are called for what was read. Pure, but for the ids that it makes."""

from collections.abc import Sequence

from dispatcher.bell import Message, new_task_id, trace_for
from dispatcher.report import Read
from dispatcher.routes import ROUTES, bells
from ingest.commands import Echo
from ops import trace
from tasks.inbox import Letter


def exam_calls(letters: Sequence[Letter]) -> list[Message]:
    """Call for the exams of some letters, several of them with one call."""
    return [
        Message(
            route=ROUTES["exam.start"],
            task_id=new_task_id(),
            args=(pks,),
            trace=trace_for(pks, letters),
        )
        for pks in bells([letter.pk for letter in letters])
    ]


def echo_calls(reads: Sequence[Read], *, default_s: float) -> list[Message]:
    """
    Call for each echo among *reads*.

    Args:
        default_s: Seconds that one sleeps which does not say for how long.
    """
    return [
        Message(
            route=ROUTES["echo"],
            task_id=new_task_id(),
            trace=read.step or trace.child(read.trace),
            kwargs={
                "entry": read.entry,
                "command_id": read.command_id,
                "source": read.command.source,
                "text": data.text,
                "delay": default_s if data.delay is None else data.delay,
            },
        )
        for read in reads
        if isinstance(data := read.command.data, Echo)
    ]
