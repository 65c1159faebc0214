"""Journal: the handler that writes a process' lines, chained, to file and standard output."""

import contextlib
import logging
import os
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

import structlog

from ops import hygiene, outage
from ops.chain import HEADS, Chain, Register
from ops.events import Event
from ops.held import Held, portions
from ops.logfile import LogFile, remove_oldest

BOOKKEEPING = frozenset({Event.LOG_OPENED, Event.LOG_CLOSED, Event.TASK_ENDED})

log = structlog.get_logger()

#: A line, by its keys in their order.
Line = Mapping[str, Any]
#: Makes a line of what a library has logged.
FromRecord = Callable[[logging.LogRecord], Line]


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
        from_record: FromRecord,
        stream: TextIO | None,
        for_people: Callable[[Line], str] | None,
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
        self._from_record = from_record
        self._stream = stream
        self._for_people = for_people
        self._keep = keep
        self._register = Register(file.path.parent / HEADS)
        self._chain: Chain | None = None
        self._is_lost = False
        self._held: list[Held] | None = None
        _here.add(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write what a library has logged. A handler never raises: that is logging's contract."""
        try:
            self._add(self._from_record(record))
        except Exception:
            self.handleError(record)

    def add(self, line: Line) -> None:
        """Write a line of ours. It never raises: no work ends because its line cannot be made."""
        assert self.lock
        with self.lock:
            try:
                self._add(line)
            except Exception:
                _print_error()

    def _add(self, line: Line) -> None:
        chain = self._chain or self._open()
        if self._held is None:
            self._turn()
        before = chain.last
        text = hygiene.render(chain.placed(line))
        shown = self._shown(line, text)
        chain.add(text)
        one = Held(before, chain.last, shown, text)
        if self._held is None:
            self._out([one])
        else:
            self._held.append(one)

    def _out(self, some: Sequence[Held]) -> None:
        """Write lines with one write; of several the register knows before where they end."""
        last = some[-1].last
        if len(some) > 1:
            self._register.note(some[0].before, until=last)
        try:
            self._show(b"".join(one.shown for one in some))
        finally:  # also when nobody reads standard output any more: `up` may be dead
            self._write(last, b"\n".join(one.text for one in some))

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Hold back the lines of the body, and write several with one write, for a third less."""
        assert self.lock
        with self.lock:
            if self._held is not None:
                yield
                return
            self._turn()
            self._held = []
            try:
                yield
            finally:
                held, self._held = self._held, None
                for some in portions(held):
                    try:
                        self._out(some)
                    except Exception:
                        _print_error()

    def forget(self) -> None:
        """Begin anew with the next line: this is a forked process, and the chain its parent's."""
        self._chain = None
        self._held = None
        self._register.leave()

    def shut(self) -> None:
        """
        Write the last line, which accounts for the chains that have ended by now.

        A thread that outlives this begins a chain of its own: nothing may follow a last line.
        """
        assert self.lock
        with self.lock:
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
        held, self._held = self._held, None  # written at once: it accounts for others
        with self._accounting() as ended:
            log.info(Event.LOG_OPENED, file=file, after=after, ended=ended)
        self._held = held
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

    def _write(self, last: tuple[int, str], texts: bytes) -> None:
        try:
            self._file.write(texts)
        except OSError as error:
            for _ in texts.splitlines():
                outage.LOG.went_on(error)  # its line comes here too, and is lost as well
            self._is_lost = True
        else:
            self._is_lost = False
            self._register.note(last)
            outage.LOG.ended()

    def _shown(self, line: Line, text: bytes) -> bytes:
        """Make what standard output gets of a line."""
        if self._stream is None:
            return b""
        if self._for_people is None:
            return text + b"\n"
        if line["event"] in BOOKKEEPING:  # for audits alone; people at a terminal can do without
            return b""
        try:
            said = self._for_people(line) + "\n"
        except Exception:  # the file has it all the same
            _print_error()
            return b""
        return said.encode(self._stream.encoding, "backslashreplace")

    def _show(self, shown: bytes) -> None:
        if self._stream is None or not shown:
            return
        self._stream.flush()  # what others have printed
        self._stream.buffer.write(shown)
        self._stream.buffer.flush()


def _print_error() -> None:
    """Print what went wrong, if that can be: a log never stops the work."""
    with contextlib.suppress(Exception):
        traceback.print_exc()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """
    Write the lines of the body, of this process' log, with one write, at its end.

    Other threads' lines wait for it: nothing in the body may take long.
    """
    with contextlib.ExitStack() as stack:
        for journal in tuple(_here):
            stack.enter_context(journal.together())
        yield


_here: "weakref.WeakSet[Journal]" = weakref.WeakSet()


def _forget_all() -> None:
    for journal in list(_here):
        journal.forget()


os.register_at_fork(after_in_child=_forget_all)
