"""Durable: put a file on the disk so that a crash at any moment leaves the old one or the new."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TypeVar

from filestore import linux
from filestore.flush import Flush
from filestore.spares import Spares

#: Seconds for one file from which on a disk is asked to take several at once: it can put all of
#: them down in one go. Where it takes less, threads cost more than they save.
SLOW_S = 0.001
#: How many it is asked for at once.
AT_ONCE = 8

#: What the disk says when it takes nothing. Whatever else comes of a second name says that a file
#: cannot have one here: it is taken, there are too many, or there is no such thing, for which each
#: file system has an error of its own.
DISK_AWAY = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOENT, errno.ESTALE}
)

#: Bytes of a file that are asked for at once; nearly all documents have less.
READ_BYTES = 1 << 16
#: Files from which on it is worth to flush all that others have written, too.
MANY = 4

T = TypeVar("T")

_flush = Flush()


@dataclass(slots=True, kw_only=True)
class NewFile:
    """
    What is to be the content of *path*.

    Attributes:
        folder, name: Where it is to lie.
        temporary: Where it is written first: in the same file system, and by nobody else meanwhile.
        mode: Who may use the file, from the first byte on; None: as the process has it.
        spares: Where to find a file to write to, and to leave the old one.
        listed: Where a file that should be the first of its name is written instead; it keeps this
            name beside its own.
        stat: What the system says of it once it is written.
        was_listed: Whether what it replaced had a second name, and has that one still.
    """

    folder: str
    name: str
    text: str
    temporary: str
    mode: int | None = None
    spares: Spares | None = None
    listed: str | None = None
    stat: os.stat_result | None = field(default=None, init=False)
    was_listed: bool = field(default=False, init=False)

    @property
    def path(self) -> str:
        """The whole of its name."""
        return f"{self.folder}/{self.name}"

    def write(self, *, is_synced: bool = True) -> None:
        """Put the content on the disk, or at least on its way, under its first name."""
        first = self.listed or self.temporary
        if self.mode is not None:
            Path(first).touch(self.mode)
            Path(first).chmod(self.mode)  # of one that was left behind, too
        elif self.spares and not self.spares.take(first):
            self.stat = _write_anew(first, self.text.encode(), is_synced=is_synced)
            return
        self.stat = _write(first, self.text.encode(), is_synced=is_synced)

    def put(self) -> None:
        """Give it its name, and keep what had that name before for another one."""
        if self.listed:
            try:
                os.link(self.listed, self.path)
            except OSError as error:
                if error.errno in DISK_AWAY:
                    raise
            else:
                return
            self.stat = _write_anew(self.temporary, self.text.encode(), is_synced=True)
        elif self.spares:
            with suppress(FileNotFoundError):
                self.was_listed = os.stat(self.path).st_nlink > 1  # noqa: PTH116 - a third of what Path takes
                if not self.was_listed and linux.exchange(self.temporary, self.path):
                    self.spares.give(self.temporary)
                    return
        os.rename(self.temporary, self.path)  # noqa: PTH104 - a third of what Path takes


def read_file(path: str) -> bytes:
    """Read a whole file, in half of the time of `open`, which asks what it is first."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, READ_BYTES)
        while more := os.read(descriptor, READ_BYTES):
            text += more
        return text
    finally:
        os.close(descriptor)


def replace_file(path: Path, text: str, *, temporary: Path, mode: int | None = None) -> None:
    """Replace one file, as `replace_files` does several; raises as that does."""
    folder, name = str(path.parent), path.name
    file = NewFile(folder=folder, name=name, text=text, temporary=str(temporary), mode=mode)
    replace_files([file])


def replace_files(files: Sequence[NewFile], *, before: Iterable[Path] = ()) -> None:
    """
    Write each under its first name, sync it, give it its own, and sync the folder.

    On return all new contents and their names are on the disk. Several take less time together
    than one after the other.

    Args:
        before: Folders with new names, which are on the disk before any of the files has its own.

    Raises:
        OSError: The disk did not take one of them. Each is the old one or the new one, and a new
            one may not be safe yet. A failed sync is never tried again on the same descriptor: the
            kernel has forgotten what it could not write.

    Source: https://lwn.net/Articles/457667/ on why both the file and its folder are synced.
    """
    if len(files) >= MANY and _flush.is_wise(Path(files[0].temporary).parent):
        _replace_by_flushing(files)
        return
    with _tidy(files):
        _for_each(NewFile.write, files)
        for folder in before:
            sync_folder(folder)
        for file in files:
            file.put()
    _for_each(sync_folder, {file.folder for file in files})


def _replace_by_flushing(files: Sequence[NewFile]) -> None:
    """Do the same for many, for which two flushes of all cost less than a sync for each."""
    folder = Path(files[0].temporary).parent
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _tidy(files):
            for file in files:
                file.write(is_synced=False)
            _flush.flush(descriptor)
            for file in files:
                file.put()
        _flush.flush(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _tidy(files: Iterable[NewFile]) -> Iterator[None]:
    """
    Leave nothing behind under a temporary name when the disk does not take it.

    What is listed stays: it may have its own name by now, and one too many does no harm.
    """
    try:
        yield
    except OSError:
        for file in files:
            with suppress(OSError):
                os.unlink(file.temporary)  # noqa: PTH108 - as it is called elsewhere here
        raise


def sync_folder(folder: Path | str) -> None:
    """Put a folder's names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _for_each(act: Callable[[T], object], things: Iterable[T]) -> None:
    """Do something that the disk is waited for, one by one or, where that is slow, at once."""
    rest = list(things)
    while rest:
        began = monotonic()
        act(rest.pop())
        if monotonic() - began > SLOW_S and len(rest) > 1:
            doing = [_pool(os.getpid()).submit(act, thing) for thing in rest]
            wait(doing)  # all of them, also after an error: nothing may be written afterwards
            for done in doing:
                done.result()
            return


@cache
def _pool(_pid: int) -> ThreadPoolExecutor:
    """Threads of this process, once they are needed; a fork takes none along."""
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="disk")


def _write_anew(path: str, text: bytes, *, is_synced: bool) -> os.stat_result:
    """Write a file that is nobody else's: what was left behind there may have another name."""
    try:
        return _write(path, text, is_synced=is_synced, how=os.O_EXCL)
    except FileExistsError:
        os.unlink(path)  # noqa: PTH108 - as it is called elsewhere here
        return _write(path, text, is_synced=is_synced, how=os.O_EXCL)


def _write(path: str, rest: bytes, *, is_synced: bool, how: int = os.O_TRUNC) -> os.stat_result:
    """
    Write a file.

    Args:
        how: With what is there: ``O_TRUNC``, or ``O_EXCL`` for an error.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how | os.O_CLOEXEC, 0o640)
    try:
        if not is_synced:
            # Have the room now, and be told when there is none: ext4 looks for it when it writes,
            # and of what it does not find then a flush of everything says nothing.
            os.posix_fallocate(descriptor, 0, len(rest))
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if is_synced:
            os.fsync(descriptor)
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)
