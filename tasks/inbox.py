"""Inbox: the commands of one exam that wait to be applied, and how they are written there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import msgspec
from redis import Redis

from filestore.fact import Fact, Type
from ops import keys, trace
from ops.trace import Trace
from tasks import attempts
from tasks.scripts import script


class _Written(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What stands in the inbox of a letter, behind the ingress time."""

    command: str
    source: str | None
    type: Type
    value: int | str
    traceparent: str = ""


_dump, _load = msgspec.json.Encoder().encode, msgspec.json.Decoder(_Written).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """
    A command on its way into an inbox; Redis adds the ingress time when it is placed.

    Attributes:
        trace: The producer's own; None: derived from the entry.
    """

    pk: str
    entry: str
    command: str
    source: str | None
    type: Type
    value: int | str
    trace: Trace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """
    What an inbox held at one moment.

    Attributes:
        facts: In no order.
        foreign: Fields that no dispatcher wrote.
        now_ms: That moment, on Redis' clock.
        attempt: Which attempt at these letters this is, from 1.
        traces: Entry -> trace, of each fact: what a command is judged by knows of none.
        seen_s: That moment, on the machine's clock that nobody sets.
    """

    facts: tuple[Fact, ...]
    foreign: tuple[str, ...]
    now_ms: int
    attempt: int
    traces: Mapping[str, Trace]
    seen_s: float = field(default_factory=monotonic)

    @property
    def clock_ms(self) -> int:
        """Redis' clock at present: nobody has to ask for it once more."""
        return self.now_ms + round(1000 * (monotonic() - self.seen_s))


def encode(letter: Letter) -> str:
    """Make what stands in the inbox, but for the ingress time before it."""
    traced = [trace.header(letter.trace)] if letter.trace else []
    return _dump([letter.command, letter.source, letter.type, letter.value, *traced]).decode()


def decode(entry: str, text: str) -> tuple[Fact, Trace]:
    """
    Read ``<ingress ms> <letter>``, and the trace in it or of the entry.

    Raises:
        ValueError: No dispatcher wrote this.
    """
    at_ms, _, letter = text.partition(" ")
    written = _load(letter)
    fact = Fact(
        at_ms=int(at_ms),
        entry=entry,
        command=written.command,
        source=written.source,
        type=written.type,
        value=written.value,
    )
    return fact, trace.parse(written.traceparent) or trace.derived(entry)


def read(redis: Redis, pk: str) -> Post:
    """Look into an exam's inbox, take nothing out, and note that work on it begins."""
    return read_all(redis, [pk])[pk]


def read_all(redis: Redis, pks: Sequence[str]) -> dict[str, Post]:
    """Look into several exams' inboxes, as `read` does into one."""
    names = [name for pk in pks for name in (keys.inbox(pk), keys.attempts_together(pk))]
    reply: Any = script(redis, "look.lua")(keys=names, args=[attempts.KEPT_S])
    now_ms, *found = reply
    return {
        pk: _sort_out(dict(zip(flat[::2], flat[1::2], strict=True)), now_ms=now_ms, attempt=attempt)
        for pk, flat, attempt in zip(pks, found[::2], found[1::2], strict=True)
    }


def _sort_out(fields: Mapping[bytes, bytes], *, now_ms: int, attempt: int) -> Post:
    facts: list[Fact] = []
    traces: dict[str, Trace] = {}
    foreign: list[str] = []
    for name, text in fields.items():
        entry = name.decode("utf-8", "surrogateescape")
        try:
            fact, traced = decode(entry, text.decode())
        except (ValueError, RecursionError):
            foreign.append(entry)
        else:
            facts.append(fact)
            traces[entry] = traced
    return Post(
        facts=tuple(facts),
        foreign=tuple(foreign),
        now_ms=now_ms,
        attempt=attempt,
        traces=traces,
    )
