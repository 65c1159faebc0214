"""Journal: the handler that writes a process' lines, chained, to file and standard output."""

import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TextIO

import structlog

from ops import outage
from ops.chain import HEADS, Chain, Register
from ops.events import Event
from ops.logfile import LogFile, remove_oldest

BOOKKEEPING = frozenset({Event.LOG_OPENED, Event.LOG_CLOSED, Event.TASK_ENDED})

log = structlog.get_logger()

#: Turns a record into the text of its line, which ends with the keys of the given position.
Render = Callable[[logging.LogRecord, dict[str, str | int]], str]


class Journal(logging.Handler):
    """
    Number, hash and write each line: the same bytes to the file and to standard output.

    A process opens its chain with a line that names the file before this one and accounts for the
    chains that have ended; a forked process begins one of its own. A full disk must not stop the
    work: the line is lost, which is said once and shows as a gap, and the next one is tried again.
    """

    def __init__(
        self,
        file: LogFile,
        *,
        part: str,
        render: Render,
        stream: TextIO | None,
        for_people: logging.Formatter | None,
        keep: int,
    ) -> None:
        """
        Take what it writes with; nothing is written yet.

        Args:
            stream: Standard output; None to write to the file alone.
            for_people: How a line looks on *stream*; None for the line as it is.
            keep: How many full files of this part stay.
        """
        super().__init__()
        self._file = file
        self._part = part
        self._render = render
        self._stream = stream
        self._for_people = for_people
        self._keep = keep
        self._register = Register(file.path.parent / HEADS)
        self._chain: Chain | None = None
        self._is_lost = False
        _here.add(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record* as one line. A handler never raises: logging's contract."""
        try:
            chain = self._chain or self._open()
            self._turn()
            line = self._render(record, chain.position()).encode("utf-8", "backslashreplace")
            chain.add(line)
            try:
                self._show(record, line)
            finally:  # also when nobody reads standard output any more: `up` may be dead
                self._write(chain, line)
        except Exception:
            self.handleError(record)

    def forget(self) -> None:
        """Begin anew with the next line: this is a forked process, and the chain its parent's."""
        self._chain = None
        self._register.leave()

    def shut(self) -> None:
        """
        Write the last line, which accounts for the chains that have ended by now.

        A thread that outlives this begins a chain of its own: nothing may follow a last line.
        """
        if self._chain is None:
            return
        with self._accounting() as ended:
            log.info(Event.LOG_CLOSED, ended=ended)
        self.forget()

    def close(self) -> None:
        """Close the files."""
        _here.discard(self)
        self._register.leave()
        self._file.close()
        super().close()

    def _open(self) -> Chain:
        self._chain = Chain()
        self._register.begin(self._chain, part=self._part)
        file, after = self._file.path.name, self._file.before()
        with self._accounting() as ended:
            log.info(Event.LOG_OPENED, file=file, after=after, ended=ended)
        return self._chain

    @contextlib.contextmanager
    def _accounting(self) -> Iterator[list[dict[str, str | int]]]:
        """Yield the ended chains for a line to account for; one that is lost does for none."""
        with self._register.ended() as ended:
            yield [head.shown() for head in ended]
            if self._is_lost:
                ended.clear()

    def _turn(self) -> None:
        """Go on in a new file when this one is full, and remove the oldest in the background."""
        try:
            full = self._file.turn()
        except OSError as error:
            outage.LOG.went_on(error)
            return
        if full:
            log.info(Event.LOG_ROTATED, file=self._file.path.name, after=full)
            with contextlib.suppress(RuntimeError):  # this process ends: the next one removes it
                threading.Thread(target=self._remove_oldest, daemon=True).start()

    def _remove_oldest(self) -> None:
        try:
            for name, chains in remove_oldest(self._file.path, keep=self._keep):
                log.info(Event.LOG_REMOVED, file=name, chains=chains)
        except OSError as error:
            outage.LOG.went_on(error)

    def _write(self, chain: Chain, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError as error:
            outage.LOG.went_on(error)  # its line comes here too, and is lost as well
            self._is_lost = True
        else:
            self._is_lost = False
            self._register.note(chain)
            outage.LOG.ended()

    def _show(self, record: logging.LogRecord, line: bytes) -> None:
        if self._stream is None or (self._for_people and _is_bookkeeping(record)):
            return
        text = self._for_people.format(record) if self._for_people else line.decode()
        self._stream.write(text + "\n")
        self._stream.flush()


def _is_bookkeeping(record: logging.LogRecord) -> bool:
    """Whether a line is for audits alone; people at a terminal can do without."""
    return isinstance(record.msg, dict) and record.msg.get("event") in BOOKKEEPING


_here: "weakref.WeakSet[Journal]" = weakref.WeakSet()


def _forget_all() -> None:
    for journal in list(_here):
        journal.forget()


os.register_at_fork(after_in_child=_forget_all)
