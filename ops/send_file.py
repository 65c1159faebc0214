"""
Send a file: the commands in its lines to the gateway, in requests of bounded size.

A command without an id gets one made of what the file holds up to there and of its line's number.
So a second run, after a cut or by mistake, sends the same ids, and duplicates do nothing; and a
file that has grown meanwhile keeps the ids of what it had before.
"""

import contextlib
import json
import os
import re
import shlex
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedReader
from uuid import NAMESPACE_URL, uuid5

import click
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from ingest.commands import PK_PATTERN
from ingest.faults import InvalidCommand
from ingest.lines import MAX_LINE_BYTES, Chunk, Line, Splitter
from ingest.strict_json import load_json
from ops.gateway_client import Cut, post_lines

#: Bytes that are read, and sent, at a time; with the longest line and the ids somewhat more.
PIECE_BYTES = 1 << 18
#: Exit codes: all taken; some were not.
DONE, NOT_ALL = 0, 1

TOO_LONG = f"has more than {MAX_LINE_BYTES} bytes"

_IDS = uuid5(NAMESPACE_URL, "urn:invigil:file")
_PK = re.compile(PK_PATTERN.replace(r"\z", r"\Z"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    What to send, and where to.

    Attributes:
        name: Of the file as its user wrote it; ``-`` for standard input.
        source: Of the commands that name none.
        first_line: Lines before it are read, and not sent.
        key: To call the gateway with, if it needs one.
    """

    url: str
    file: BufferedReader
    name: str
    source: str | None = None
    first_line: int = 1
    key: SecretStr | None = None

    @property
    def secret(self) -> str | None:
        """The key as it is shown."""
        return self.key.get_secret_value() if self.key else None

    def resumed(self, number: int) -> str:
        """Make the command that goes on from a line."""
        source = ["--source", self.source] if self.source else []
        where = ["--url", self.url, "--from-line", str(number)]
        return shlex.join(["invigil", "send", "--file", self.name, *source, *where])


@dataclass(slots=True)
class Tally:
    """How far it came: *line* is the first of which nothing is known."""

    line: int
    taken: int = 0
    refused: int = 0


def run(job: Job) -> int:
    """
    Send all of it, with a progress bar on a terminal; say what was refused, and by which line.

    Returns:
        The exit code: 0 when every command was taken. Else 1, and where it was cut the command
        that goes on from there has been said.
    """
    tally = Tally(line=job.first_line)
    console = Console(stderr=True)
    try:
        with Progress(console=console, disable=not sys.stderr.isatty()) as progress:
            bar = progress.add_task("sending", total=_size(job.file))
            for lines, size in _pieces(job):
                _send(job, lines, tally, console)
                progress.advance(bar, size)
    except (Cut, KeyboardInterrupt) as cut:
        why = str(cut) or "interrupted"
        click.echo(f"invigil send: stopped at line {tally.line}: {why}", err=True)
        click.echo("What comes twice by this does nothing. To go on:", err=True)
        click.echo(f"  {job.resumed(tally.line)}", err=True)
        return NOT_ALL
    finally:
        click.echo(f"{tally.taken} taken, {tally.refused} refused")
    return NOT_ALL if tally.refused else DONE


def _pieces(job: Job) -> Iterator[tuple[list[Line], int]]:
    """Give the lines of each piece of the file, named, and the number of bytes that it had."""
    splitter = Splitter()
    namer = Namer(job.source)
    while piece := job.file.read1(PIECE_BYTES):
        yield _named(namer, splitter.feed(piece)), len(piece)
    yield _named(namer, splitter.end()), 0


def _named(namer: "Namer", chunks: Iterable[Chunk]) -> list[Line]:
    return [namer.name(line) for chunk in chunks for line in chunk.lines()]


def _send(job: Job, lines: Sequence[Line], tally: Tally, console: Console) -> None:
    """
    Send the lines that are to be sent, and note what became of each.

    Raises:
        Cut: Of the line that the tally has come to, and those behind it, nothing is known.
    """
    asked = [line for line in lines if line.number >= job.first_line]
    texts = [line.text for line in asked if line.text is not None]
    with contextlib.closing(post_lines(job.url, texts, key=job.secret)) as refusals:
        for line in asked:
            tally.line = line.number
            if refusal := TOO_LONG if line.text is None else next(refusals):
                text = Text(f"line {line.number}: {refusal}")  # nothing in it is markup
                console.print(text, soft_wrap=True)  # above the bar, in one line
                tally.refused += 1
            else:
                tally.taken += 1


class Namer:
    """Gives the commands of a file their ids and source, where they have none."""

    def __init__(self, source: str | None) -> None:
        self._source = source
        self._before = sha256()

    def name(self, line: Line) -> Line:
        """Name the next line; one that is no command is left for the gateway to refuse."""
        if line.text is None:
            return line
        self._before.update(line.text + b"\n")
        try:
            values = load_json(line.text)
        except InvalidCommand:
            return line
        if not isinstance(values, dict):
            return line
        made = {"id": self._id(line.number, values.get("data")), "source": self._source}
        lacking = {key: value for key, value in made.items() if value and values.get(key) is None}
        return Line(line.number, _with(line.text, values, lacking))

    def _id(self, number: int, data: object) -> str:
        """Make an id in the form that the gateway gives: the exam, if there is one, and a UUID."""
        uuid = uuid5(_IDS, f"{number} {self._before.hexdigest()}")
        pk = data.get("pk") if isinstance(data, dict) else None
        return f"{pk}.{uuid}" if isinstance(pk, str) and _PK.match(pk) else str(uuid)


def _with(text: bytes, values: Mapping[str, object], more: Mapping[str, str]) -> bytes:
    """Put fields into an object, whose own stay as they were written."""
    if not more:
        return text
    if more.keys() & values.keys():  # they are null
        return json.dumps({**values, **more}).encode()
    rest = text.strip()[1:]
    comma = "," if values else ""
    return (json.dumps(more, separators=(",", ":"))[:-1] + comma).encode() + rest


def _size(file: BufferedReader) -> int | None:
    """Bytes of a file; None where nobody knows yet."""
    try:
        about = os.fstat(file.fileno())
    except OSError:
        return None
    return about.st_size if stat.S_ISREG(about.st_mode) else None
