"""Batch: commands that go to Redis together, how they are written there, and who hears of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ingest.commands import Command, encode
from ingest.once import KEPT_S, Key, fingerprint
from ops import keys
from ops.journal import together

if TYPE_CHECKING:
    import redis.asyncio

#: What is called with all of a batch that gave it and that Redis has: of each who waits for it, and
#: its entry's id.
Taken = Callable[[Sequence[tuple[Any, str]]], None]
_ONCE = files("ingest").joinpath("once.lua").read_text()
_ADD = files("ingest").joinpath("add.lua").read_text()


class Answer(Protocol):
    """Who waits for what Redis answers: a future, or what costs less than one."""

    def done(self) -> bool:
        """Whether nobody waits any more."""

    def set_result(self, result: Any, /) -> None:
        """Take the entry's id, once it stands in the log; do not raise."""

    def set_exception(self, exception: Exception, /) -> None:
        """Take what went wrong; do not raise."""


@dataclass(slots=True)
class Waiting:
    """
    A command on its way, and who waits for what Redis answers.

    Attributes:
        until: When that is given up, by the loop's clock.
        taken: Called with the entry's id before whoever waits has it; once for all that give it.
    """

    command: Command
    answer: Answer
    until: float
    key: Key | None = None
    taken: Taken | None = None

    def flat(self) -> list[str]:
        """Make the fields of its entry, names and values by turns."""
        return [text for pair in encode(self.command).items() for text in pair]


def runs(batch: Iterable[Waiting]) -> list[list[Waiting]]:
    """Divide commands into what Redis can be asked for in one step, in their order."""
    found: list[list[Waiting]] = []
    for one in batch:
        if found and one.key is None and found[-1][0].key is None:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def write(run: Sequence[Waiting], pipeline: "redis.asyncio.client.Pipeline") -> None:
    """Add what brings commands onto the stream."""
    key = run[0].key
    if key is None:
        packed = msgspec.msgpack.encode([one.flat() for one in run])
        pipeline.eval(_ADD, 1, keys.COMMANDS, packed)
        return
    command = run[0].command
    named = (keys.COMMANDS, keys.once(str(key.uuid)))
    pipeline.eval(_ONCE, 2, *named, fingerprint(command), str(KEPT_S), *run[0].flat())


def settle(batch: list[Waiting], answers: list[Any]) -> None:
    """Say what was taken, and tell those who wait: none before his line is written."""
    waiting = [pair for pair in zip(batch, answers, strict=True) if not pair[0].answer.done()]
    found: dict[Taken, list[tuple[Any, str]]] = defaultdict(list)
    for one, answer in waiting:
        if one.taken and not isinstance(answer, Exception):
            found[one.taken].append((one.answer, answer.decode()))
    with together():
        for tell, some in found.items():
            tell(some)
    for one, answer in waiting:
        if isinstance(answer, Exception):
            one.answer.set_exception(answer)
        else:
            one.answer.set_result(answer)
