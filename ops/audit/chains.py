"""Chains: a process' lines as an audit follows them, and what others noted of them."""

import re
from dataclasses import dataclass
from typing import Any

from ops.audit.line import Line, moment_ms
from ops.chain import Head

#: The time in the name of a full file, and milliseconds for which lines may still follow in it.
_STAMP = re.compile(r"\.(\d{8}T\d{6})\d*Z\.jsonl\Z", re.ASCII)
LAG_MS = 3_000


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


def removed_ms(line: Line) -> int:
    """Tell when the last lines of a file were written that a line says was removed."""
    stamp = _STAMP.search(line.file or "")
    full_ms = moment_ms(f"{stamp[1]}Z") if stamp else None
    said_ms = moment_ms(line.ts)
    return 0 if full_ms is None or said_ms is None else min(full_ms + LAG_MS, said_ms)


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
                or_seq=one["or_seq"] if isinstance(one.get("or_seq"), int) else None,
                or_head=str(one["or_head"]) if "or_head" in one else None,
            )
        case _:
            return None
