"""Log: one JSON line per event, to a file per part and to standard output."""

import atexit
import io
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ops import hygiene
from ops.journal import FromRecord, Journal, Line
from ops.logfile import LogFile
from ops.settings import BadSettings, Settings
from ops.vocabulary import is_audited

#: Keys of a line that a person at a terminal can do without; the files have them all.
HIDDEN = {"settings", "entry", "trace_id", "at_ms", "task", "verdict", "deadline_ms", "logger"}
MEGABYTE = 1 << 20
#: Keys that say which process speaks; of interest where one speaks of another.
OWN = {"part", "pid"}
#: Loggers that repeat, for each message, what our own lines say better.
CHATTY = ("celery.app.trace", "celery.worker.strategy", "aiohttp.access", "asyncio")
#: aiohttp's own words, with a traceback, for requests that we or it answered with a 4xx.
SILENT = ("aiohttp.server",)


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
    journal = Journal(
        _file(settings, part=part),
        part=part,
        from_record=_from_record(part),
        stream=None if is_quiet else sys.stdout,
        for_people=_for_people(part) if is_console(settings) else None,
        keep=settings.log_files,
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    _route(journal, level=level, part=part)
    atexit.register(journal.shut)


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
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def printable(text: str) -> str:
    """Show control characters, so that a text is one line and obeyed by no terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _line(part: str) -> Callable[[str, EventDict], EventDict]:
    def line(level: str, event: EventDict) -> EventDict:
        """
        Make the line: its head, what the context knows, what was said, and how bad it is.

        In one step: each processor of structlog's own would cost a tenth of the line.
        """
        at = event.pop("_at", None) or time.time()  # the record's own, where a library has made one
        second = int(at)
        made: EventDict = {
            "ts": f"{_second(second)}{int((at - second) * 1000):03}Z",
            "event": event.pop("event"),
            "part": part,
            "pid": os.getpid(),
            **structlog.contextvars.get_contextvars(),
            **event,
            "level": level,
        }
        if "exc_info" in made:
            return structlog.processors.format_exc_info(None, level, made)
        return made

    return line


@lru_cache(maxsize=2)
def _second(at: int) -> str:
    """Write all of a timestamp that is the same for a second."""
    return timestamp(datetime.fromtimestamp(at, UTC))[:-4]


def _from_record(part: str) -> FromRecord:
    """Make lines of what libraries log, as of ours."""
    make = _line(part)

    def line(record: logging.LogRecord) -> EventDict:
        event: Any = {
            "event": record.getMessage(),
            "logger": record.name,
            "_at": record.created,
        }
        if record.exc_info:
            event["exc_info"] = record.exc_info
        return make(record.levelname.lower(), event)

    return line


def _is_wanted(level: int) -> Processor:
    numbers = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}

    def sift(_logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        """Let pass what an audit needs, however few lines are wanted."""
        if numbers[name] < level and not is_audited(event["event"]):
            raise structlog.DropEvent
        return event

    return sift


def _to_write(part: str) -> Callable[[WrappedLogger, str, EventDict], Any]:
    make = _line(part)

    def to_write(_logger: WrappedLogger, name: str, event: EventDict) -> Any:
        """Hand on the line as it is to be written, as the one argument of `_Direct`."""
        return (make(name, event),), {}

    return to_write


class _Direct:
    """
    What structlog hands a line to: the journal, without a record of `logging` in between.

    That would cost as much as all the rest of the line.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def debug(self, line: Line) -> None:
        """Write it; the level stands in it."""
        self._journal.add(line)

    info = warning = error = critical = debug


def _route(journal: Journal, *, level: int, part: str) -> None:
    """Send every logger's records to *journal*, and structlog's lines at once."""
    least = min(level, logging.INFO)
    root = logging.getLogger()
    root.handlers = [journal]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*([_is_wanted(level)] if level > least else []), _to_write(part)],
        logger_factory=lambda *_: _Direct(journal),
        wrapper_class=structlog.make_filtering_bound_logger(least),
        cache_logger_on_first_use=True,
    )


def _file(settings: Settings, *, part: str) -> LogFile:
    try:
        return LogFile(settings.logs / f"{part}.jsonl", most_bytes=settings.log_size * MEGABYTE)
    except OSError as error:
        sentence = f"INVIGIL_DATA: cannot use {settings.data}: {error.strerror}"
        raise BadSettings(sentence) from None


def _for_people(own_part: str) -> Callable[[Line], str]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=not has_no_color(), timestamp_key="ts", pad_event_to=18
    )

    def show(line: Line) -> str:
        """Keep what a person looks for; show control characters rather than let them act."""
        is_own = line["part"] == own_part
        kept = {
            name: _harmless(name, hygiene.clean(name, value))
            for name, value in line.items()
            if name not in HIDDEN and value is not None and value is not False
            if not (is_own and name in OWN)
        }
        return str(renderer(None, "", {**kept, "ts": str(line["ts"])[11:23]}))

    return show


def _harmless(name: str, value: object) -> object:
    """Escape a text; a traceback keeps its lines, none of which can pass for one of the log."""
    if name == "exception":
        return "\n".join(f"    {printable(line)}" for line in str(value).split("\n"))
    return printable(value) if isinstance(value, str) else value
