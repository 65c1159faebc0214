"""Chain: number and hash a process' log lines, so that a missing or altered one shows."""

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

#: What stands in place of a hash before the first line.
NOTHING = "0" * 32
#: Folder of the register, beside the log files.
HEADS = ".heads"
#: Chains that one line accounts for, at most; the rest is left to the next one.
MOST_ENDED = 100

#: The end of each line of ours, as `Chain.placed` and the renderer make it.
TAIL = re.compile(rb'"chain": "([0-9a-f]{16})", "seq": (\d{1,18}), "prev": "([0-9a-f]{32})"}\s*\Z')
#: What stands in a file of the register.
_REGISTERED = re.compile(
    r"(\d{20}) ([0-9a-f]{32}) (\d{1,10}) (\S{1,64})(?: (\d{20}) ([0-9a-f]{32}))?\n", re.ASCII
)


def digest(line: bytes) -> str:
    """Hash a line, without its newline: the first 128 bits of SHA-256."""
    return sha256(line).hexdigest()[:32]


class Chain:
    """
    The lines of one process, from its first to its last.

    Attributes:
        name: 16 hex characters, made by chance.
        seq: Number of the last line; 0 before the first.
        head: Hash of the last line.
    """

    def __init__(self) -> None:
        self.name = secrets.token_hex(8)
        self.seq = 0
        self.head = NOTHING

    @property
    def last(self) -> tuple[int, str]:
        """Number and hash of the last line."""
        return self.seq, self.head

    def placed(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """Return the next line with the keys that end it."""
        return {**line, "chain": self.name, "seq": self.seq + 1, "prev": self.head}

    def add(self, line: bytes) -> None:
        """Take in the line that was made with `placed`."""
        self.seq += 1
        self.head = digest(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """
    The last line of a chain: its number and hash, and who wrote it.

    Attributes:
        or_seq, or_head: Where it is not known how far the writing of several lines came: the last
            of them.
    """

    chain: str
    seq: int
    head: str
    part: str
    pid: int
    or_seq: int | None = None
    or_head: str | None = None

    def shown(self) -> dict[str, str | int]:
        """Make what stands in a log line."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        """Write it for a mail or a notebook: ``<chain> <number> <hash> <part> <pid>``."""
        return f"{self.chain} {self.seq:>7} {self.head} {self.part} {self.pid}"


class Register:
    """
    The heads of all chains that are written in one folder: a small file per process.

    A process holds the lock of its file while it lives, so what can be locked has ended. Whoever
    opens or closes a log next accounts for it in a line of its own, and removes the file: then the
    end of a process that was killed is as sure as that of one which closed its log.

    Nothing here raises OSError: a log goes on without its register, and the audit says so.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._part = ""

    def begin(self, chain: Chain, *, part: str) -> None:
        """Enter a chain. The file gets its name when it is locked, lest it pass for a dead one."""
        self._part = part
        temporary = self._folder / f".{chain.name}.new"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            self.note(chain.last)
            temporary.rename(self._folder / chain.name)
        except OSError:
            self.leave()

    def note(self, last: tuple[int, str], *, until: tuple[int, str] | None = None) -> None:
        """
        Write down where the chain is now: one write in place, of always the same length.

        Args:
            last: Number and hash of the last line that is written.
            until: Of the last of those that are about to be.
        """
        if self._descriptor is None:
            return
        (seq, head), (or_seq, or_head) = last, until or last
        text = f"{seq:020} {head} {os.getpid()} {self._part} {or_seq:020} {or_head}\n"
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, text.encode(), 0)

    def leave(self) -> None:
        """Let go of the file, which stays: as a forked process, whose parent still holds it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextlib.contextmanager
    def ended(self) -> Iterator[list[Head]]:
        """Yield the chains that have ended, and forget those which the body leaves in the list."""
        with contextlib.ExitStack() as stack:
            dead: list[tuple[Path, Head]] = []
            for path in self._paths():
                if len(dead) == MOST_ENDED:
                    break
                if head := _lock(path, stack):
                    dead.append((path, head))
            accounted = [head for _, head in dead if head.seq]
            yield accounted
            for path, head in dead:
                if head in accounted or not head.seq:
                    path.unlink(missing_ok=True)

    def heads(self) -> list[Head]:
        """Read the heads of all chains not yet accounted for, dead or alive."""
        return [head for path in self._paths() if (head := _read(path))]

    def alive(self) -> set[str]:
        """Name the chains whose processes live."""
        with contextlib.ExitStack() as stack:
            return {path.name for path in self._paths() if _is_locked(path, stack)}

    def _paths(self) -> list[Path]:
        try:
            return sorted(p for p in self._folder.iterdir() if not p.name.startswith("."))
        except OSError:
            return []


def ends(lines: Iterable[bytes]) -> Mapping[str, tuple[int, str]]:
    """Find the last line of each chain: chain -> number and hash."""
    found = {}
    for line in lines:
        if tail := TAIL.search(line, max(0, len(line) - 130)):
            found[tail[1].decode()] = (int(tail[2]), line)
    return {chain: (seq, digest(line.rstrip(b"\n"))) for chain, (seq, line) in found.items()}


def _is_locked(path: Path, stack: contextlib.ExitStack) -> bool:
    return path.exists() and _lock(path, stack) is None


def _lock(path: Path, stack: contextlib.ExitStack) -> Head | None:
    """Take the lock of a register file; None when its process lives, or it is none of ours."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # may be a pipe
        stack.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    return _read(path)


def _read(path: Path) -> Head | None:
    try:
        match = _REGISTERED.fullmatch(path.read_text()) if path.is_file() else None
    except (OSError, ValueError):
        return None
    if match is None:
        return None
    seq, head, pid, part, or_seq, or_head = match.groups()
    is_sure = or_seq in (seq, None)
    return Head(
        chain=path.name,
        seq=int(seq),
        head=head,
        part=part,
        pid=int(pid),
        or_seq=None if is_sure else int(or_seq),
        or_head=None if is_sure else or_head,
    )
