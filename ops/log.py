"""Log: one JSON line per event, to a file per part and to standard output."""

import atexit
import io
import logging
import os
import sys
from datetime import UTC, datetime

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ops import hygiene
from ops.journal import Journal, Render
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
        render=_renderer(part),
        stream=None if is_quiet else sys.stdout,
        for_people=_for_people(part) if is_console(settings) else None,
        keep=settings.log_files,
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    journal.addFilter(lambda record: record.levelno >= level or _is_audited(record))
    _route(journal, level=min(level, logging.INFO))
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


def _renderer(part: str) -> Render:
    position: dict[str, str | int] = {}

    def add_position(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        return {**event, **position}

    def render(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
        return hygiene.render(event)

    formatter = _formatter([*_shared(part), add_position, render])

    def line(record: logging.LogRecord, at: dict[str, str | int]) -> str:
        position.update(at)
        return formatter.format(record)

    return line


def _shared(part: str) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _stamp(part),
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
    ]


def _formatter(processors: list[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name],
        processors=processors,
    )


def _is_audited(record: logging.LogRecord) -> bool:
    """Whether an audit needs the line, so that it is written however few are wanted."""
    return isinstance(record.msg, dict) and is_audited(record.msg.get("event"))


def _route(journal: Journal, *, level: int) -> None:
    """Send every logger's records to *journal*, structlog's among them."""
    root = logging.getLogger()
    root.handlers = [journal]
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


def _file(settings: Settings, *, part: str) -> LogFile:
    try:
        return LogFile(settings.logs / f"{part}.jsonl", most_bytes=settings.log_size * MEGABYTE)
    except OSError as error:
        sentence = f"INVIGIL_DATA: cannot use {settings.data}: {error.strerror}"
        raise BadSettings(sentence) from None


def _for_people(own_part: str) -> logging.Formatter:
    def shorten(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        """Keep what a person looks for; show control characters rather than let them act."""
        is_own = event["part"] == own_part
        kept = {
            name: _harmless(name, hygiene.clean(name, value))
            for name, value in event.items()
            if name not in HIDDEN and value is not None and value is not False
            if not (is_own and name in OWN)
        }
        return {**kept, "ts": str(event["ts"])[11:23]}

    renderer = structlog.dev.ConsoleRenderer(
        colors=not has_no_color(), timestamp_key="ts", pad_event_to=18
    )
    return _formatter([*_shared(own_part), shorten, renderer])


def _harmless(name: str, value: object) -> object:
    """Escape a text; a traceback keeps its lines, none of which can pass for one of the log."""
    if name == "exception":
        return "\n".join(f"    {printable(line)}" for line in str(value).split("\n"))
    return printable(value) if isinstance(value, str) else value
