"""Steps: what a collector is told of commands that are applied, and of the file that is written."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from filestore.fact import Fact
from ops import telemetry
from ops.trace import Trace
from tasks.inbox import Post


@contextmanager
def applying(pk: str, facts: Sequence[Fact], post: Post) -> Iterator[Sequence[Trace]]:
    """Record one step per command, and yield them: those judged together have a trace each."""
    if not telemetry.is_on():
        yield []
        return
    with ExitStack() as steps:
        yield [
            steps.enter_context(
                telemetry.span("apply", post.traces[fact.entry], _about(pk, fact), kind="consumer")
            )
            for fact in facts
        ]


@contextmanager
def applying_all(posts: Mapping[str, Post]) -> Iterator[Mapping[str, Sequence[Trace]]]:
    """Do what `applying` does for each of several exams; yield nothing where nobody records it."""
    if not telemetry.is_on():
        yield {}
        return
    with ExitStack() as steps:
        yield {
            pk: steps.enter_context(applying(pk, post.facts, post)) for pk, post in posts.items()
        }


@contextmanager
def writing_all(pks: Iterable[str], traced: Mapping[str, Sequence[Trace]]) -> Iterator[None]:
    """Do what `writing` does for each of several exams, where `applying_all` has yielded any."""
    with ExitStack() as writes:
        for pk in pks if traced else ():
            writes.enter_context(writing(pk, traced[pk]))
        yield


@contextmanager
def writing(pk: str, steps: Sequence[Trace]) -> Iterator[None]:
    """Record the file's write below each of *steps*: one write may be the effect of several."""
    with ExitStack() as writes:
        for step in steps:
            about = {**telemetry.ids(pk=pk), "invigil.commands": len(steps)}
            writes.enter_context(telemetry.span("write", step, about))
        yield


def _about(pk: str, fact: Fact) -> telemetry.Attributes:
    ids = telemetry.ids(pk=pk, command_id=fact.command, entry=fact.entry, type=fact.type.value)
    return {**ids, "messaging.system": "redis", "messaging.message.id": fact.entry}
