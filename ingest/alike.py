"""
Alike: lines of a body that ask for the same kind of thing, read together and sent as one.

A school that starts its candidates sends thousands of lines of one form. Read with care, each of
them costs ten times what Redis takes for its entry. Lines in which there is anything else, and
commands of several kinds, are read one by one (`ingest/lines.py`), to the same end.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import msgspec
import structlog

from filestore.name import PATTERN
from ingest import ids
from ops import keys
from ops.events import Event
from ops.journal import together
from ops.many import FEWEST, in_lines
from ops.settings import MAX_DURATION_S
from ops.trace import Trace, header

_ADD = files("ingest").joinpath("add_alike.lua").read_text()
_START = "exam.start"
_ID = '"id": ?"([A-Za-z0-9._-]{1,200})"'
#: By the command's type the whole of an ordinary line: its own id, if it has one before or behind
#: all else, the exam, and what may be said of it.
_FORMS = {
    name: re.compile(
        rf'^{{(?:{_ID}, ?)?"type": ?"{re.escape(name)}", ?'
        rf'"data": ?{{"pk": ?"({PATTERN})"{more}}}(?(1)|(?:, ?{_ID})?)}}\r?$',
        re.ASCII | re.MULTILINE,
    )
    for name, more in (
        (_START, '(?:, ?"duration": ?([1-9][0-9]{0,8}))?'),
        ("exam.finish", ', ?"status": ?"(pass|fail)"'),
    )
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Alike:
    """
    Commands of one type, each about an exam, without a source or trace of their own.

    Attributes:
        pks: The exam of each.
        data: What each asks for, as `ingest.commands.encode` writes it.
        names: The id of each: its own, or one that was made here.
    """

    type: str
    pks: Sequence[str]
    data: Sequence[str]
    names: Sequence[str]

    def steps(self, trace: Trace) -> tuple[str, int, str, bytes, str, str]:
        """Make what EVAL puts them on the stream with: script, keys, arguments."""
        given = [text for both in zip(self.data, self.names, strict=True) for text in both]
        packed = msgspec.msgpack.encode(given)
        return _ADD, 1, keys.COMMANDS, packed, self.type, header(trace)

    def tell(self, entries: Sequence[str]) -> None:
        """
        Write the log lines about the first of them, which Redis has.

        Args:
            entries: The id of each one's entry; as for `answers`.
        """
        count = len(entries)
        with together():
            for pks, names, some in in_lines(self.pks[:count], self.names[:count], entries):
                log.info(
                    Event.BULK_ACCEPTED, type=self.type, pks=pks, command_ids=names, entries=some
                )

    def answers(self, entries: Sequence[str], *, number: int) -> bytes:
        """
        Write what is answered to the first of them; nothing in their names is ever escaped.

        Args:
            number: Line of the first one in its body.
        """
        known = zip(self.pks, self.names, entries, strict=False)
        return "".join(
            f'{{"line":{line},"command_id":"{name}","entry":"{entry}","pk":"{pk}"}}\n'
            for line, (pk, name, entry) in enumerate(known, number)
        ).encode()


def read(texts: Sequence[bytes | None]) -> Alike | None:
    """
    Read lines as commands that are alike, and name them.

    Args:
        texts: Without their newlines; None for one that is too long.

    Returns:
        None if they are to be read one by one.
    """
    if len(texts) < FEWEST or None in texts:
        return None
    whole = b"\n".join(texts)  # type: ignore[arg-type]
    if not whole.isascii():
        return None
    text = whole.decode("ascii")
    for name, form in _FORMS.items():
        found: list[tuple[str, str, str, str]] = form.findall(text)
        if len(found) == len(texts):
            return _alike(name, found)
    return None


def _alike(name: str, found: Sequence[tuple[str, str, str, str]]) -> Alike | None:
    before, pks, values, behind = zip(*found, strict=True)
    if name == _START and any(int(value) > MAX_DURATION_S for value in values if value):
        return None
    write = _start if name == _START else _result
    own = zip(before, behind, ids.command_ids(pks), strict=True)
    return Alike(
        type=name,
        pks=pks,
        data=[*map(write, pks, values)],
        names=[one or other or new for one, other, new in own],
    )


def _start(pk: str, duration: str) -> str:
    return f'{{"pk":"{pk}","duration":{duration}}}' if duration else f'{{"pk":"{pk}"}}'


def _result(pk: str, status: str) -> str:
    return f'{{"pk":"{pk}","status":"{status}"}}'
