"""Log: one JSON line per event, to a file per part and to standard output."""

import io
import logging
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ops import outage
from ops.settings import BadSettings, Settings

#: Keys of a line that a person at a terminal can do without; the files have them all.
HIDDEN = {"settings", "entry", "at_ms", "task", "verdict", "deadline_ms", "logger"}
#: Keys that say which process speaks; of interest where one speaks of another.
OWN = {"part", "pid"}
#: Loggers that repeat, for each message, what our own lines say better.
CHATTY = ("celery.app.trace", "celery.worker.strategy", "aiohttp.access", "asyncio")
#: aiohttp's own words, with a traceback, for requests that we or it answered with a 4xx.
SILENT = ("aiohttp.server",)
#: A line without an end is looked at again so often, with so many seconds between: Linux shows
#: the pages of one ``write`` one after the other, so another process' line may be half there.
LOOKS, LOOK_S = 100, 0.01


class WholeLines(logging.Handler):
    """
    Append each line with one write.

    Several processes of one part share a file: with ``O_APPEND`` and one ``write`` per line, no
    line is torn by another's. A full disk must not stop the work: the line is lost, which is said
    once, and the next one is tried again. What a full disk has torn ends where the next line
    begins.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        self._looks = LOOKS  # before the first line: whoever wrote it before may have torn it
        super().__init__()

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record* as one line."""
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        except Exception:  # a handler never raises: logging's contract
            self.handleError(record)
            return
        try:
            self._write(line)
        except OSError as error:
            self._looks = 1
            outage.LOG.went_on(error)  # its line comes here too, and is lost as well
        else:
            outage.LOG.ended()

    def _write(self, line: bytes) -> None:
        if self._stays_torn():
            line = b"\n" + line
        self._looks = 0
        while line:
            line = line[os.write(self._descriptor, line) :]

    def _stays_torn(self) -> bool:
        """Whether the last line has no end, and is not just being written by another process."""
        for look in range(self._looks):
            time.sleep(LOOK_S if look else 0)
            if not self._is_torn():
                return False
        return self._looks > 0

    def _is_torn(self) -> bool:
        try:
            size = os.fstat(self._descriptor).st_size
            return size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        except OSError:  # no file to look back into, such as a pipe
            return False

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
        super().close()


def configure(settings: Settings, *, part: str, is_quiet: bool = False) -> None:
    """
    Send every record of this process, ours and the libraries', through structlog.

    Args:
        settings: Level, format of standard output, and the folder of the files.
        is_quiet: Whether to write to the file alone.
        part: Name of the process' part, in each line and of its file ``<data>/logs/<part>.jsonl``.

    Raises:
        BadSettings: When the log file cannot be opened.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a text must not fail on a terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _stamp(part),
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
    ]
    file = _file(settings, part=part)
    json_line = structlog.processors.JSONRenderer(default=str)
    file.setFormatter(_formatter([*shared, json_line]))
    console = logging.StreamHandler(sys.stdout)
    is_json = not is_console(settings)
    console.setFormatter(file.formatter if is_json else _formatter([*shared, *_for_people(part)]))

    _route([file] if is_quiet else [file, console], level=settings.log_level.upper())


def is_console(settings: Settings) -> bool:
    """Whether a person reads standard output; else it is JSON lines and nothing but."""
    if settings.log_format != "auto":
        return settings.log_format == "console"
    return sys.stdout.isatty() and not has_no_color()


def has_no_color() -> bool:
    """
    Whether the user wants no colours.

    Source: https://no-color.org: set, and not empty.
    """
    return bool(os.environ.get("NO_COLOR"))


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as in the files: ``2026-11-23T08:00:00.123Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """Show control characters, so that a text is one line and obeyed by no terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _stamp(part: str) -> Processor:
    def stamp(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        """Head the line; the record's own time, so that file and standard output agree."""
        moment = datetime.fromtimestamp(event["_record"].created, UTC)
        head = {"ts": timestamp(moment), "event": event.pop("event")}
        return {**head, "part": part, "pid": os.getpid(), **event}

    return stamp


def _formatter(processors: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name],
        processors=processors,
    )


def _route(handlers: list[logging.Handler], *, level: str) -> None:
    """Send every logger's records to *handlers*, structlog's among them."""
    root = logging.getLogger()
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _file(settings: Settings, *, part: str) -> WholeLines:
    try:
        return WholeLines(settings.logs / f"{part}.jsonl")
    except OSError as error:
        sentence = f"INVIGIL_DATA: cannot use {settings.data}: {error.strerror}"
        raise BadSettings(sentence) from None


def _for_people(own_part: str) -> list[Processor]:
    def shorten(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        """Keep what a person looks for; show control characters rather than let them act."""
        is_own = event["part"] == own_part
        kept = {
            name: _harmless(name, value)
            for name, value in event.items()
            if name not in HIDDEN and value is not None and value is not False
            if not (is_own and name in OWN)
        }
        return {**kept, "ts": str(event["ts"])[11:23]}

    renderer = structlog.dev.ConsoleRenderer(
        colors=not has_no_color(), timestamp_key="ts", pad_event_to=18
    )
    return [shorten, renderer]


def _harmless(name: str, value: object) -> object:
    """Escape a text; a traceback keeps its lines."""
    if name == "exception":
        return "\n".join(printable(line) for line in str(value).split("\n"))
    return printable(value) if isinstance(value, str) else value
