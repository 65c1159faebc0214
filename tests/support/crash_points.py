"""Crash points: every call of a transition on the disk, made to fail or to be the last one."""

import errno
import fcntl
import gc
import os
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

from filestore import linux
from filestore.flush import Flush

#: The calls through which the store changes the disk, or holds on to something.
CALLS = ("open", "write", "fsync", "rename", "link", "unlink", "mkdir", "close")
#: What can come of one: the process dies before or after it; it fails before or after it had its
#: effect; a write takes half, and the next one takes the rest or finds the disk full.
KINDS = ("die before", "die after", "EIO", "ENOSPC", "EIO after", "short", "short, then full")
#: Exit codes of the process in which it happens.
RETURNED, FAILED, LEAKED, DIED = 0, 3, 4, 9


@contextmanager
def calls_through(wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Let every call on the disk go through what *wrap* makes of it."""
    with ExitStack() as stack:
        for name in CALLS:
            stack.enter_context(patch.object(os, name, wrap(name, getattr(os, name))))
        stack.enter_context(patch.object(fcntl, "fcntl", wrap("lock", fcntl.fcntl)))
        stack.enter_context(patch.object(Flush, "flush", wrap("flush", Flush.flush)))
        stack.enter_context(patch.object(linux, "exchange", wrap("exchange", linux.exchange)))
        yield


def count_calls(act: Callable[[], object]) -> list[str]:
    """Name the calls that *act* makes, in order."""
    seen: list[str] = []

    def wrap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return call(*args, **kwargs)

        return counted

    with calls_through(wrap):
        act()
    return seen


@dataclass(kw_only=True)
class Fault:
    """One call, by its number, and what comes of it."""

    at: int
    kind: str
    number: int = -1

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Make of *call* one that fails when its turn comes."""

        def faulty(*args: Any, **kwargs: Any) -> Any:
            self.number += 1
            if self.number == self.at:
                return self._strike(name, call, args, kwargs)
            if self.number == self.at + 1 and self.kind == "short, then full":
                raise OSError(errno.ENOSPC, "no space left")
            return call(*args, **kwargs)

        return faulty

    def _strike(self, name: str, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if name == "write" and self.kind.startswith("short"):
            return call(args[0], args[1][: max(1, len(args[1]) // 2)])
        if self.kind == "die before":
            os._exit(DIED)
        if self.kind in ("die after", "EIO after"):
            call(*args, **kwargs)
        if self.kind == "die after":
            os._exit(DIED)
        if name == "close" and self.kind != "EIO after":
            call(*args, **kwargs)  # Linux lets go of the descriptor whatever close says
        raise OSError(errno.ENOSPC if self.kind == "ENOSPC" else errno.EIO, self.kind)


def faults(calls: Sequence[str]) -> Iterator[Fault]:
    """Every fault that can strike a transition which makes these calls."""
    for at, name in enumerate(calls):
        for kind in KINDS:
            is_shortened = kind.startswith("short")
            if name == "open" and kind == "EIO after":
                continue  # an open that fails has no descriptor to give
            if name == "write" or not is_shortened:
                yield Fault(at=at, kind=kind)


def descriptors() -> int:
    """How many descriptors this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))


def in_a_process(act: Callable[[], object], fault: Fault) -> int:
    """Run *act* under *fault* in a process of its own; return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = RETURNED
    try:
        gc.disable()  # what another test left open is not to be closed between the two counts
        before = descriptors()
        with calls_through(fault.wrap):
            try:
                act()
            except OSError:
                code = FAILED
        if descriptors() != before:
            code = LEAKED
    finally:
        os._exit(code)


class DiedError(BaseException):
    """The process is dead: no call of it has an effect any more."""


@dataclass(kw_only=True)
class Death:
    """
    Death before one call, by its number, told to the process by an exception.

    What it does on its way out comes to nothing, as if it had been killed; only its descriptors are
    closed, as the kernel would. So a `Disk` can watch the death and what comes after it.
    """

    at: int
    number: int = -1

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Make of *call* one that a dead process cannot make."""

        def mortal(*args: Any, **kwargs: Any) -> Any:
            self.number += 1
            if self.number < self.at:
                return call(*args, **kwargs)
            if name == "close":
                call(*args, **kwargs)
            raise DiedError

        return mortal


@dataclass(eq=False)
class Inode:
    """A file's content: every one that a power cut may leave behind. A folder's is None."""

    contents: list[bytes | None] = field(default_factory=lambda: [b""])


class Disk:
    """
    What a power cut may leave of a folder, call by call.

    Each name, and each content, may be any that it had since it was last synced: the file system
    is free to bring them to the disk in any order. Stricter than ext4, as POSIX allows.

    Folders that were there from the beginning stay; of those in *ignored* nothing is noted, nor of
    the index: SQLite's own calls are not seen, and after a power cut it is made anew.
    """

    def __init__(self, root: Path, *, ignored: Container[Path] = ()) -> None:
        self._ignored = ignored
        self._names: dict[Path, list[Inode | None]] = {
            path: [Inode([path.read_bytes()])]
            for path in root.rglob("*")
            if path.is_file() and not _is_of_index(path)
        }
        self._open: dict[int, tuple[Path, Inode | None]] = {}

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Make of *call* one whose effect is noted."""

        def noted(*args: Any, **kwargs: Any) -> Any:
            result = call(*args, **kwargs)
            getattr(self, f"_{name}_", lambda *_: None)(result, *args)
            return result

        return noted

    def states(self) -> Iterator[dict[Path, bytes]]:
        """Every state of the files that a power cut at this moment may leave."""
        for tree in self.trees():
            yield {path: text for path, text in tree.items() if text is not None}

    def trees(self) -> Iterator[dict[Path, bytes | None]]:
        """Every state of the files, and of the folders that were made (None): folders first."""
        names = sorted(self._names, key=lambda path: len(path.parts))
        for inodes in product(*(self._names[name] for name in names)):
            there: dict[Path, Inode] = {}
            for path, inode in zip(names, inodes, strict=True):
                if inode and (path.parent in there or path.parent not in self._names):
                    there[path] = inode
            for contents in product(*(inode.contents for inode in there.values())):
                yield dict(zip(there, contents, strict=True))

    def _open_(self, descriptor: int, path: Any, flags: int, *_: Any) -> None:
        path = Path(path)
        if path.is_dir() or path.name == ".lock" or _is_of_index(path):
            self._open[descriptor] = (path, None)
            return
        names = self._names.setdefault(path, [None])
        if names[-1] is None:
            names.append(Inode())
        inode = names[-1]
        assert inode
        if flags & os.O_TRUNC and inode.contents[-1]:
            inode.contents.append(b"")
        self._open[descriptor] = (path, inode)

    def _write_(self, written: int, descriptor: int, data: bytes) -> None:
        _, inode = self._open[descriptor]
        assert inode
        whole = (inode.contents[-1] or b"") + data[:written]
        inode.contents += [whole[: len(whole) // 2], whole]

    def _fsync_(self, _: None, descriptor: int) -> None:
        path, inode = self._open[descriptor]
        if inode:
            del inode.contents[:-1]
            return
        for name, inodes in self._names.items():
            if name.parent == path:
                del inodes[:-1]

    def _flush_(self, _: None, __: Flush, ___: int) -> None:
        for inodes in self._names.values():
            del inodes[:-1]
            if inodes[0]:
                del inodes[0].contents[:-1]

    def _mkdir_(self, _: None, path: Any, *__: Any) -> None:
        if Path(path) not in self._ignored and not _is_of_index(Path(path)):
            self._names.setdefault(Path(path), [None]).append(Inode([None]))

    def _rename_(self, _: None, source: Any, target: Any) -> None:
        self._names.setdefault(Path(target), [None]).append(self._names[Path(source)][-1])
        self._names[Path(source)].append(None)

    def _link_(self, _: None, source: Any, target: Any) -> None:
        self._names.setdefault(Path(target), [None]).append(self._names[Path(source)][-1])

    def _exchange_(self, is_done: bool, one: Any, other: Any) -> None:
        if is_done:
            first, second = self._names[Path(one)][-1], self._names[Path(other)][-1]
            self._names[Path(one)].append(second)
            self._names[Path(other)].append(first)

    def _unlink_(self, _: None, path: Any) -> None:
        if Path(path) in self._names or not _is_of_index(Path(path)):
            self._names[Path(path)].append(None)


def _is_of_index(path: Path) -> bool:
    return any(name.startswith(".index.") for name in (path.name, path.parent.name))
