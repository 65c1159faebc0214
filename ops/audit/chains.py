"""Chains: a process' lines as an audit follows them, and what others noted of them."""

from dataclasses import dataclass
from typing import Any

from ops.audit.line import Line
from ops.chain import Head


@dataclass(frozen=True, slots=True)
class Came:
    """A line that came: its hash, where it stands, and whether that is before its turn."""

    line: Line
    head: str
    file: str
    number: int
    is_displaced: bool = False

    @property
    def seq(self) -> int:
        """Its number in its chain."""
        return self.line.seq

    @property
    def at(self) -> str:
        """Where it stands, for people."""
        return f"{self.file}:{self.number}"


@dataclass(slots=True)
class Chain:
    """
    A process' lines so far.

    Attributes:
        line, head: The last one, and its hash; where it stands: *file*, *number*.
        held: Lines that came before their turn.
        watched: Lines whose hash somebody noted, and who.
        before: Number and hash of the line before the first, where that is not the beginning.
        closed: Number of the first line that says it is the last one.
    """

    part: str
    pid: int | None
    first_ts: str
    line: Line
    seq: int
    head: str
    file: str
    number: int
    held: dict[int, Came]
    watched: dict[int, tuple[str, str]]
    before: tuple[int, str] | None = None
    gap: tuple[int, int] | None = None
    closed: int | None = None
    is_broken: bool = False
    is_noted: bool = False
    is_ended: bool = False

    @property
    def at(self) -> str:
        """Where the last line stands."""
        return f"{self.file}:{self.number}"

    @property
    def name(self) -> str:
        """Who it was, for people."""
        return f"{self.part} {self.pid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """
    A head that somebody noted.

    Attributes:
        where: Who did: a line, a mail, the register.
        is_end: Whether the process had ended by then; else it may have gone on.
    """

    head: Head
    where: str
    is_end: bool


def head_of(one: Any) -> Head | None:
    """Read a head from a log line; None when it is none."""
    match one:
        case {"chain": str(name), "seq": int(seq), "head": str(head)}:
            return Head(
                chain=name,
                seq=seq,
                head=head,
                part=str(one.get("part", "?")),
                pid=one["pid"] if isinstance(one.get("pid"), int) else 0,
            )
        case _:
            return None
