"""Output: what a person, or a program, sees of all parts in one place."""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence

import msgspec
import structlog

from ops.events import Event
from ops.log import has_no_color, printable

#: ANSI colours of the prefixes, in the order of the parts; red is for errors.
COLOURS = (36, 32, 33, 34, 35, 96, 92, 93)

#: What colours the lines of our own log; of what else a part may print a terminal obeys nothing.
_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")

_decode = msgspec.json.Decoder(dict[str, object]).decode

log = structlog.get_logger()


def show_json(part: str, lines: Iterable[bytes]) -> None:
    """Pass JSON objects through as they are; anything else becomes the text of an event."""
    objects: list[bytes] = []
    for line in lines:
        if _is_object(line):
            objects.append(line)
        elif line.strip():
            write(objects)
            objects.clear()
            log.info(Event.OUTPUT, part=part, pid=None, text=line.decode(errors="replace").rstrip())
    write(objects)


class Prefixed:
    """Lines with their part's name before them, in colour on a terminal."""

    def __init__(self, names: Sequence[str]) -> None:
        width = max(map(len, names))
        has_colour = sys.stdout.isatty() and not has_no_color()
        self._prefixes = {
            name: _coloured(f"{name:{width}} │", COLOURS[at % len(COLOURS)] if has_colour else 0)
            for at, name in enumerate(names)
        }

    def show(self, part: str, lines: Iterable[bytes]) -> None:
        """Write lines of *part*, without the empty ones."""
        prefix = self._prefixes[part]
        write([prefix + _harmless(one.removesuffix(b"\r")) for one in lines if one.strip()])


def write(lines: Sequence[bytes]) -> None:
    """
    Write lines to standard output at once.

    Where nobody reads any more (a closed terminal, ``| head``), this and all that follows goes to
    nowhere: the log files have it, and the parts need somebody who ends them in order.
    """
    if not lines:
        return
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(b"\n".join((*lines, b"")))
        sys.stdout.buffer.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        log.warning(Event.OUTPUT, part="up", text=f"standard output is gone: {error}")


def banner(facts: dict[str, str], *, took_s: float) -> str:
    """Say where everything is, for a person who has just started it."""
    width = max(map(len, facts))
    lines = (f"  {name:{width}}  {value}" for name, value in facts.items())
    tried = f"curl -H 'content-type: application/json' -d '{{}}' {facts['url']}/exams"
    return "\n".join(
        ["", f"Invigil is ready after {took_s:.1f} s", *lines, f"  {'try':{width}}  {tried}", ""]
    )


def _harmless(line: bytes) -> bytes:
    pieces = _COLOUR.split(line.decode("utf-8", "backslashreplace"))
    shown = (piece if at % 2 else printable(piece) for at, piece in enumerate(pieces))
    return "".join(shown).encode()


def _is_object(line: bytes) -> bool:
    if not line.startswith(b"{"):
        return False
    try:
        _decode(line)
    except (ValueError, RecursionError):
        return _is_odd_object(line)
    return True


def _is_odd_object(line: bytes) -> bool:
    """Whether Python reads what is stricter refuses: half of a surrogate pair, a huge number."""
    try:
        return isinstance(json.loads(line, parse_constant=_refuse), dict)
    except (ValueError, RecursionError):
        return False


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _coloured(text: str, colour: int) -> bytes:
    return (f"\x1b[{colour}m{text}\x1b[0m " if colour else f"{text} ").encode()
