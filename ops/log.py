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
from structlog.typing import EventDict

from ops import hygiene
from ops.journal import FromRecord, Journal, Line
from ops.logfile import LogFile
from ops.settings import BadSettings, Settings
from ops.vocabulary import is_audited

#: Keys of a line that a person at a terminal can do without; the files have them all.
HIDDEN = {
    *("settings", "entry", "trace_id", "at_ms", "task", "verdict", "deadline_ms", "logger"),
    *("command_ids", "entries", "trace_ids", "arrivals_ms", "deadlines_ms", "lates_ms"),
}
MEGABYTE = 1 << 20
#: How bad a line is, by the name of its level.
NUMBERS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}
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


def _line(
    level: str, event: str, about: EventDict, *, part: str, at_s: float | None = None
) -> EventDict:
    """
    Make the line: its head, what the context knows, what was said, and how bad it is.

    Args:
        at_s: When that was, in seconds since 1970; None: now.
    """
    at = at_s or time.time()
    second = int(at)
    made: EventDict = {
        "ts": f"{_second(second)}{int((at - second) * 1000):03}Z",
        "event": event,
        "part": part,
        "pid": os.getpid(),
        **structlog.contextvars.get_contextvars(),
        **about,
        "level": level,
    }
    if "exc_info" in made:
        return structlog.processors.format_exc_info(None, level, made)
    return made


@lru_cache(maxsize=2)
def _second(at: int) -> str:
    """Write all of a timestamp that is the same for a second."""
    return timestamp(datetime.fromtimestamp(at, UTC))[:-4]


def _from_record(part: str) -> FromRecord:
    """Make lines of what libraries log, as of ours."""

    def line(record: logging.LogRecord) -> EventDict:
        about: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            about["exc_info"] = record.exc_info
        level, said = record.levelname.lower(), record.getMessage()
        return _line(level, said, about, part=part, at_s=record.created)

    return line


class _Sink:
    """Where lines of ours go: made in one step, and written by the journal."""

    def __init__(self, journal: Journal, *, level: int, part: str) -> None:
        self._journal = journal
        self._level = level
        self._part = part

    def take(self, level: str, event: str, about: EventDict) -> None:
        """Write a line that is bad enough, or that an audit needs, however few are wanted."""
        number = NUMBERS[level]
        if number >= self._level or (number >= logging.INFO and is_audited(event)):
            self._journal.add(_line(level, event, about, part=self._part))


class _Lines(structlog.BoundLoggerBase):
    """
    What a logger of ours is: it says a line straight to the sink.

    A chain of processors, and a record of `logging` behind it, would cost more than all the rest.
    """

    def debug(self, event: str, **about: Any) -> None:
        """Say what is of interest to who looks for a mistake."""
        self._say("debug", event, about)

    def info(self, event: str, **about: Any) -> None:
        """Say what was done."""
        self._say("info", event, about)

    def warning(self, event: str, **about: Any) -> None:
        """Say what somebody should know of."""
        self._say("warning", event, about)

    def error(self, event: str, **about: Any) -> None:
        """Say what somebody has to see to."""
        self._say("error", event, about)

    def exception(self, event: str, **about: Any) -> None:
        """Say what went wrong just now, with its traceback."""
        self._say("error", event, {"exc_info": True, **about})

    def _say(self, level: str, event: str, about: EventDict) -> None:
        self._logger.take(level, event, {**self._context, **about} if self._context else about)


def _route(journal: Journal, *, level: int, part: str) -> None:
    """Send every logger's records to *journal*, and structlog's lines at once."""
    root = logging.getLogger()
    root.handlers = [journal]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[],
        logger_factory=lambda *_: _Sink(journal, level=level, part=part),
        wrapper_class=_Lines,
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
        return str(renderer(None, "", {**kept, "ts": str(kept["ts"])[11:23]}))

    return show


def _harmless(name: str, value: object) -> object:
    """Escape a text; a traceback keeps its lines, none of which can pass for one of the log."""
    if name == "exception":
        return "\n".join(f"    {printable(line)}" for line in str(value).split("\n"))
    return printable(value) if isinstance(value, str) else value
