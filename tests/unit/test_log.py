"""Log lines, as a process of its own writes them."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ops.log import timestamp

HEAD = """
import logging, os, sys, warnings
import structlog
from ops.events import Event
from ops.log import configure
from ops.settings import Settings
configure(Settings.read(data=sys.argv[1]), part="worker")
log = structlog.get_logger()
"""
#: What breaks lines or colours them, somewhere: newlines of several kinds, an escape, half a
#: character.
HOSTILE = "a\nb\r\nc\x85d\u2028e\u2029f\x1b[31mg\x00h\x0b\x0c\ud800"


def command(data: Path, code: str) -> list[str]:
    """A process that logs."""
    return [sys.executable, "-c", HEAD + code, str(data)]


def output(data: Path, code: str, **environment: str) -> str:
    """Run *code* in a process that logs; return its standard output."""
    done = subprocess.run(
        command(data, code),
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return done.stdout.decode()


def lines(data: Path) -> list[dict[str, Any]]:
    """What was logged: the lines of the file, but for those that open and close it."""
    text = (data / "logs/worker.jsonl").read_text(encoding="utf-8")
    parsed = [json.loads(line) for line in text.splitlines()]
    return [line for line in parsed if line["event"] not in ("log_opened", "log_closed")]


def test_line_has_a_head(tmp_path: Path) -> None:
    """A line begins with when and what; it says which part, process and level."""
    output(tmp_path, "log.info(Event.APPLIED, pk='math-7')")

    (line,) = lines(tmp_path)
    assert list(line)[:2] == ["ts", "event"]
    assert ("applied", "worker", "info", "math-7") == (
        line["event"],
        line["part"],
        line["level"],
        line["pk"],
    )


@pytest.mark.parametrize("form", ["json", "console"])
def test_line_has_nothing_else(tmp_path: Path, form: str) -> None:
    """A line has its head and what was logged; nothing of the machinery that wrote it."""
    printed = output(tmp_path, "log.info(Event.APPLIED, pk='math-7')", INVIGIL_LOG_FORMAT=form)

    (line,) = lines(tmp_path)
    assert set(line) == {"ts", "event", "part", "pid", "level", "pk", "chain", "seq", "prev"}
    assert "<" not in printed


def test_file_and_output_have_the_same_lines(tmp_path: Path) -> None:
    """What stands in the file is what the process printed, to the letter and the millisecond."""
    printed = output(tmp_path, "[log.info(Event.APPLIED, pk='math-7', n=n) for n in range(500)]")

    assert printed == (tmp_path / "logs/worker.jsonl").read_text()


@pytest.mark.parametrize("place", ["value=HOSTILE", "value=[{HOSTILE: HOSTILE}]", "**{HOSTILE: 1}"])
def test_hostile_value_is_one_line(tmp_path: Path, place: str) -> None:
    """Whatever a name or value holds, its line is one line of plain characters."""
    printed = output(tmp_path, f"HOSTILE = {HOSTILE!a}\nlog.info(Event.APPLIED, {place})")

    assert 3 == len(printed.splitlines())  # the first and last are about the log
    assert printed.replace("\n", "").isprintable()


def test_hostile_value_is_kept(tmp_path: Path) -> None:
    """A line gives back the value that was logged, to the character."""
    output(tmp_path, f"log.info(Event.APPLIED, value={HOSTILE!a})")

    (line,) = lines(tmp_path)
    assert line["value"] == HOSTILE


@pytest.mark.parametrize("value", [HOSTILE, "/exams/\x1b]0;mine\x07", "\x9b31m", "a\u2028b"])
def test_hostile_value_gives_a_terminal_no_orders(tmp_path: Path, value: str) -> None:
    """For people too, a value cannot colour the screen, rename the window or fake a line."""
    code = f"log.info(Event.REQUEST_REFUSED, path={value!a})"
    printed = output(tmp_path, code, INVIGIL_LOG_FORMAT="console", NO_COLOR="1")

    assert [printed] == printed.splitlines(keepends=True)
    assert printed.strip().isprintable()


@pytest.mark.parametrize("text", ["no\x1b]0;mine\x07", "no\udcff"])
def test_hostile_error_gives_a_terminal_no_orders(tmp_path: Path, text: str) -> None:
    """Nor can the text of an error, and none is lost for it; its traceback has several lines."""
    code = f"try: raise OSError({text!a})\nexcept OSError: log.exception(Event.FAILED)"
    printed = output(tmp_path, code, INVIGIL_LOG_FORMAT="console", NO_COLOR="1")

    assert "OSError: no\\" in printed
    assert "\x1b" not in printed


def test_traceback_keeps_secrets(tmp_path: Path) -> None:
    """A traceback for people names lines of code, not the values that were at hand there."""
    code = "url = 'redis://:' + 'ge' + 'heim@h'\ntry: 1 / 0\n"
    code += "except ArithmeticError: log.exception(Event.FAILED)"
    printed = output(tmp_path, code, INVIGIL_LOG_FORMAT="console", NO_COLOR="1")

    assert "ZeroDivisionError" in printed
    assert "geheim" not in printed


def test_value_of_any_type_is_shown(tmp_path: Path) -> None:
    """A value that JSON does not know is shown as text; no line is lost for it."""
    output(tmp_path, "log.info(Event.APPLIED, value={1, 2}, raw=b'x', error=OSError('no'))")

    (line,) = lines(tmp_path)
    assert ("{1, 2}", "b'x'", "no") == (line["value"], line["raw"], line["error"])


def test_traceback_is_part_of_the_line(tmp_path: Path) -> None:
    """An exception's traceback stands in its line, not under it."""
    output(tmp_path, "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception(Event.FAILED)")

    (line,) = lines(tmp_path)
    assert (line["event"], line["level"]) == ("failed", "error")
    assert "ZeroDivisionError: division by zero" in line["exception"]


def test_libraries_write_such_lines_too(tmp_path: Path) -> None:
    """What a library logs has the same shape, and names its logger."""
    output(tmp_path, "logging.getLogger('celery.worker').warning('%d is\\n%s', 7, 'lost')")

    (line,) = lines(tmp_path)
    assert ("7 is\nlost", "celery.worker", "worker") == (
        line["event"],
        line["logger"],
        line["part"],
    )


def test_warnings_are_lines(tmp_path: Path) -> None:
    """A Python warning is a line, not text between the lines."""
    output(tmp_path, "warnings.warn('old', stacklevel=1)")

    (line,) = lines(tmp_path)
    assert (line["level"], line["logger"]) == ("warning", "py.warnings")


def test_bound_ids_are_in_every_line(tmp_path: Path) -> None:
    """What was bound once, such as the task's id, is in each line that follows."""
    code = "structlog.contextvars.bind_contextvars(task_id='t'); log.info(Event.APPLIED)"
    output(tmp_path, code + "; logging.getLogger('x').error('y')")

    assert ["t", "t"] == [line["task_id"] for line in lines(tmp_path)]


def test_level_is_a_setting(tmp_path: Path) -> None:
    """Less severe lines than the setting says are not written, but for what an audit needs."""
    code = "log.info(Event.APPLIED); log.info(Event.OUTPUT); log.warning(Event.OUTPUT)\n"
    code += "logging.getLogger('x').info('y')"
    output(tmp_path, code, INVIGIL_LOG_LEVEL="warning")

    written = [(line["event"], line["level"]) for line in lines(tmp_path)]
    assert [("applied", "info"), ("output", "warning")] == written


def test_restart_goes_on_in_the_same_file(tmp_path: Path) -> None:
    """A part that is started again appends: what its predecessor wrote is still there."""
    for _ in range(2):
        output(tmp_path, "log.info(Event.PART_STARTING)")

    assert len({line["pid"] for line in lines(tmp_path)}) == 2


def test_two_processes_tear_no_lines(tmp_path: Path) -> None:
    """Processes of one part that write at the same time spoil none of each other's lines."""
    code = "[log.info(Event.APPLIED, n=n, text=['x' * 999] * (n * 37 % 20)) for n in range(400)]"
    writers = [
        subprocess.Popen(command(tmp_path, code), stdout=subprocess.DEVNULL) for _ in range(3)
    ]

    assert [0, 0, 0] == [writer.wait() for writer in writers]
    assert sorted([*range(400)] * 3) == sorted(line["n"] for line in lines(tmp_path))


def test_forked_process_tears_no_lines(tmp_path: Path) -> None:
    """
    Pool processes that were forked after the log was set up write whole lines as well.

    Long ones, each process' first at the same time: it must not take the other's, half of which
    may be seen already, for one that a killed writer left.
    """
    code = """
children = [os.fork() for _ in range(2)]
for n in range(20):
    log.info(Event.APPLIED, n=n, text=["x" * 900] * 100)
for child in filter(None, children):
    os.waitpid(child, 0)
"""
    for run in range(5):
        output(tmp_path / str(run), code)

        assert sorted([*range(20)] * 4) == sorted(line["n"] for line in lines(tmp_path / str(run)))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux'")
def test_full_disk_does_not_stop_the_work(tmp_path: Path) -> None:
    """When the log cannot be written that is said once; standard output still has each line."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/worker.jsonl").symlink_to("/dev/full")

    printed = output(tmp_path, "log.info(Event.APPLIED); log.info(Event.REFUSED)")

    events = [json.loads(line)["event"] for line in printed.splitlines()]
    assert ["log_opened", "unavailable", "applied", "refused", "log_closed"] == events


def test_torn_line_spoils_no_other(tmp_path: Path) -> None:
    """What a full disk tore stays torn alone; the lines after it are whole, and count the lost."""
    path = tmp_path / "logs/worker.jsonl"
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log.info(Event.APPLIED, n=0)
size = os.stat({str(path)!r}).st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, resource.RLIM_INFINITY))
log.info(Event.APPLIED, n=1)
log.info(Event.APPLIED, n=2)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.info(Event.APPLIED, n=3)
"""
    printed = output(tmp_path, code)

    _, first, torn, *after = path.read_text().splitlines()
    assert 0 == json.loads(first)["n"]
    assert 20 == len(torn)
    events = {line["event"]: line for line in map(json.loads, after)}
    assert ["applied", "available", "log_closed"] == sorted(events)
    assert ("log", 3) == (events["available"]["what"], events["available"]["failures"])
    assert 1 == printed.count('"unavailable"')


def test_line_after_a_killed_writer_is_whole(tmp_path: Path) -> None:
    """A part that finds its log torn by its predecessor begins with a line of its own."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/worker.jsonl").write_text('{"event": "appl')

    output(tmp_path, "log.info(Event.APPLIED)")

    _, *whole = (tmp_path / "logs/worker.jsonl").read_text().splitlines()
    assert ["log_opened", "applied", "log_closed"] == [json.loads(line)["event"] for line in whole]


def test_log_is_not_for_everyone(tmp_path: Path) -> None:
    """Other users of the machine cannot read the log."""
    output(tmp_path, "log.info(Event.APPLIED)")

    assert (tmp_path / "logs/worker.jsonl").stat().st_mode & 0o007 == 0


def test_timestamp_is_utc_with_milliseconds() -> None:
    """Times in the log are spelled as in the files, whatever the zone of the machine."""
    moment = datetime(2025, 11, 22, 15, 33, 20, 123_999, timezone(timedelta(hours=1)))

    assert timestamp(moment) == "2025-11-22T14:33:20.123Z"
