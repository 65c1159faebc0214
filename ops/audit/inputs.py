"""Inputs: find the log files that are meant, and read them side by side, a block at a time."""

import gzip
import heapq
import io
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from ops.audit.line import moment_ms
from ops.audit.paths import STDIN, Unreadable
from ops.chain import TAIL

#: Bytes read at once. Files are read by turns, whichever is behind in time, so this is also how far
#: one may be ahead of another: a few hundred lines.
BLOCK = 1 << 17
#: Bytes without a newline after which a file is none of ours.
LONGEST_LINE = 1 << 24
#: Milliseconds by which the time of a line may be before the one above it. More, and the file is
#: several logs one behind the other, which are read side by side.
JUMP_MS = 60_000
#: Such jumps in one file; each is looked into, so they must have an end.
MOST_JUMPS = 100

#: Called with the number of bytes that have been read since the last call.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """A piece of a file in which time goes forward: bytes from *begin* to *end*."""

    began_ms: int
    name: str
    number: int
    begin: int
    end: int
    path: Path = field(compare=False)


@dataclass(slots=True)
class Block:
    """Some lines of a file, the first one's number, and where they came from."""

    name: str
    number: int
    lines: list[bytes]
    size: int


class Inputs:
    """
    Open inputs, as blocks of lines in about the order of time.

    Attributes:
        sizes: Name of each input -> bytes, as far as they have been looked at.
    """

    def __init__(self, paths: Sequence[Path], folder: Path) -> None:
        """
        Look through all inputs for where time jumps back.

        Args:
            folder: For temporary files: standard input, and what is compressed in several runs.

        Raises:
            Unreadable: One cannot be read.
        """
        self.sizes: dict[str, int] = {}
        self._folder = folder
        self._runs: list[Run] = []
        for path in paths:
            with _naming(path):
                self._look_through(path)

    @property
    def total(self) -> int:
        """Bytes of all inputs."""
        return sum(self.sizes.values())

    def blocks(self, progress: Progress) -> Iterator[Block]:
        """
        Read all inputs, always on with the one that is behind.

        Raises:
            Unreadable: One cannot be read any further.
        """
        waiting = sorted(self._runs, reverse=True)
        reading: list[tuple[int, int, Iterator[Block]]] = []
        count = 0
        while waiting or reading:
            if waiting and (not reading or waiting[-1].began_ms <= reading[0][0]):
                run = waiting.pop()
                heapq.heappush(reading, (run.began_ms, count, _read(run)))
                count += 1
                continue
            behind_ms, order, rest = heapq.heappop(reading)
            block = next(rest, None)
            if block is None:
                continue
            progress(block.size)
            yield block
            heapq.heappush(reading, (_last_of(block.lines) or behind_ms, order, rest))

    def _look_through(self, path: Path) -> None:
        name = str(path)
        if name == STDIN:
            path, name = self._copy(sys.stdin.buffer, "stdin"), "standard input"
        with _open(path) as file:
            runs = list(_runs(file, name, path))
        if len(runs) > 1 and path.suffix == ".gz":
            with _open(path) as file:
                path = self._copy(file, f"{len(self._runs)}")
            runs = [replace(run, path=path) for run in runs]
        self._runs += runs
        self.sizes[name] = max((run.end for run in runs), default=0)

    def _copy(self, file: BinaryIO, name: str) -> Path:
        path = self._folder / name
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
        return path


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Give every error of reading the name of what was read."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise Unreadable(f"{path}: {why}") from error


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path, "rb"), 1 << 20)
    return path.open("rb")


def _chunks(file: BinaryIO, *, end: int | None = None) -> Iterator[bytes]:
    """Read whole lines, some at a time; the last is a line even without a newline."""
    rest, at = b"", 0
    while chunk := file.read(BLOCK if end is None else min(BLOCK, end - at)):
        at += len(chunk)
        whole, newline, after = chunk.rpartition(b"\n")
        if newline:
            yield rest + whole + newline
            rest = after
        else:
            rest += chunk
        if len(rest) > LONGEST_LINE:
            raise OSError(None, f"a line of more than {LONGEST_LINE >> 20} MB: not a log of ours")
    if rest:
        yield rest


def _lines(chunk: bytes) -> list[bytes]:
    return chunk.removesuffix(b"\n").split(b"\n")


def _runs(file: BinaryIO, name: str, path: Path) -> Iterator[Run]:
    """Cut a file where time jumps back: one log was put behind another, or a clock was set."""
    run = Run(0, name, 1, 0, 0, path)
    number, offset, jumps, latest_ms = 1, 0, 0, 0
    for chunk in _chunks(file):
        last_ms = _last_ms(chunk) or latest_ms
        run = run if run.began_ms else replace(run, began_ms=_first_ms(_lines(chunk)))
        if last_ms < latest_ms - JUMP_MS and jumps < MOST_JUMPS:
            jumps += 1
            lines = _lines(chunk)
            at, skipped = _jump_in(lines, latest_ms)
            if not _goes_on(path, run.begin, offset + skipped, lines[at]):
                yield replace(run, end=offset + skipped)
                run = Run(_first_ms(lines[at:]), name, number + at, offset + skipped, 0, path)
            latest_ms = last_ms
        latest_ms = max(latest_ms, last_ms)
        number += chunk.count(b"\n")
        offset += len(chunk)
    yield replace(run, end=offset)


def _jump_in(lines: Sequence[bytes], latest_ms: int) -> tuple[int, int]:
    """Find the line with which time jumps back, and the bytes before it."""
    size = 0
    for at, raw in enumerate(lines):
        if raw[:8] == b'{"ts": "' and _ms(raw[8:32]) < latest_ms - JUMP_MS:
            return at, size
        size += len(raw) + 1
    return 0, 0


def _goes_on(path: Path, begin: int, end: int, raw: bytes) -> bool:
    """Whether a line goes on with a chain of those before it: then it was the clock that jumped."""
    tail = TAIL.search(raw)
    if tail is None:
        return False
    before = b'"chain": "%b", "seq": %d, ' % (tail[1], int(tail[2]) - 1)
    with _open(path) as file:
        file.seek(begin)
        return any(before in chunk for chunk in _chunks(file, end=end - begin))


def _read(run: Run) -> Iterator[Block]:
    number = run.number
    with _naming(run.path), _open(run.path) as file:
        if run.begin:
            file.seek(run.begin)
        size = run.end - run.begin
        for chunk in _chunks(file, end=size):
            lines = _lines(chunk)
            yield Block(run.name, number, lines, len(chunk))
            number += len(lines)


def _first_ms(lines: Sequence[bytes]) -> int:
    return next((_ms(raw[8:32]) for raw in lines if raw[:8] == b'{"ts": "'), 0)


def _last_ms(chunk: bytes) -> int:
    at = chunk.rfind(b'\n{"ts": "')
    return _ms(chunk[at + 9 : at + 33]) if at >= 0 else _first_ms([chunk])


def _last_of(lines: Sequence[bytes]) -> int:
    return next((_ms(raw[8:32]) for raw in reversed(lines) if raw[:8] == b'{"ts": "'), 0)


def _ms(ts: bytes) -> int:
    return moment_ms(ts.decode("ascii", "replace")) or 0


def temporary() -> "tempfile.TemporaryDirectory[str]":
    """Make a folder for standard input, which is read twice; it is removed in the end."""
    return tempfile.TemporaryDirectory(prefix="invigil-audit-")
