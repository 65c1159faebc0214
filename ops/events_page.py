"""Events page: docs/events.md, made from the vocabulary and the glossary."""

import sys
from collections.abc import Iterable, Sequence

from ops.events import Event, Kind
from ops.glossary import COMMON, IN_REQUEST, IN_TASK, KEYS
from ops.vocabulary import VOCABULARY

#: An exam is started, its deadline passes, and it is absent: lines of one, as they were written.
EXAMPLES = (
    '{"ts": "2026-11-30T05:00:01.926Z", "event": "accepted", "part": "gateway", "pid": 9222, '
    '"trace_id": "57a5055086ba9787c0bc8b84b5df6266", '
    '"command_id": "math-7.01a22ad3-0405-7757-989c-812eb97683db", "type": "exam.start", '
    '"pk": "math-7", "entry": "1796014801925-0", "level": "info", '
    '"chain": "9f359d46ef4dcae6", "seq": 4, "prev": "611f3d651515d9163f73ab6ad9fa3dc9"}',
    '{"ts": "2026-11-30T05:00:03.929Z", "event": "deadline_fired", "part": "dispatcher", '
    '"pid": 9215, "pk": "math-7", "entry": "1796014803929-0", "deadline_ms": 1796014803925, '
    '"late_ms": 4, "level": "info", "chain": "b53051f983e7a20e", "seq": 6, '
    '"prev": "5362f72339d9bf6cf3a61839626b23db"}',
    '{"ts": "2026-11-30T05:00:03.935Z", "event": "applied", "part": "worker-exam", '
    '"pid": 9219, "task": "tasks.exam", "task_id": "300c4d15-379c-4497-a799-08ebeeac2c19", '
    '"pk": "math-7", "command_id": "1796014803929-0", "entry": "1796014803929-0", '
    '"type": "exam.expire", "trace_id": "7c2abb24cae2d6b29f2e59df5d47058f", '
    '"verdict": "applied", "reason": null, "at_ms": 1796014803929, "value": 1796014803925, '
    '"source": null, "deadline_ms": 1796014803925, "redelivered": false, "level": "info", '
    '"chain": "f803b322e6f618e8", "seq": 5, "prev": "0f6f0ff8af8a4db0e65d0d8477f7488a"}',
)

PAGE = """\
# Log lines

Every part writes one JSON object per line to `logs/<part>.jsonl` in the data folder. This page is
all that a line of ours can say; it is made from `ops/vocabulary.py` and `ops/glossary.py`, and a
test compares it with them:

    python -m ops.events_page > docs/events.md

## Every line

Every line has {common}: the first
four at its beginning, the others at its end, and between them the keys of its event.

A process also adds what it knows of all it says meanwhile. Any line within a Celery task may have
{task}, and any line while a request is answered
{request}. The table names them where they are of use.

A line with `logger` is not ours: it is a library's record, or a warning of Python. Its `event` is
the message, in words, and it may have an `exception`; nothing else is promised about it.

## Three of them

```json
{examples}
```

## Events

*audit*: the line is needed to account for what was done with each command, and is written whatever
`INVIGIL_LOG_LEVEL` says.

{events}

## Keys

What ends in `_ms` is a time in milliseconds since 1970, in UTC and on Redis' clock, unless it is
said to be a length of time.

{keys}
"""


def page() -> str:
    """Make the page."""
    return PAGE.format(
        common=_listed(COMMON),
        task=_listed(IN_TASK),
        request=_listed(IN_REQUEST),
        examples="\n".join(EXAMPLES),
        events=_table(
            ("event", "who writes it, and when", "keys", "some have", "audit"),
            (_row(event, kind) for event, kind in VOCABULARY.items()),
        ),
        keys=_table(("key", "meaning"), ((f"`{key}`", said) for key, said in KEYS.items())),
    )


def _row(event: Event, kind: Kind) -> tuple[str, ...]:
    audit = "yes" if kind.is_audit else ""
    return f"`{event}`", kind.when, _ticked(kind.required), _ticked(kind.optional), audit


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _listed(keys: Sequence[str]) -> str:
    """Name keys in a sentence: ``a``, ``b`` and ``c``."""
    *first, last = (f"`{key}`" for key in keys)
    return f"{', '.join(first)} and {last}"


def _ticked(keys: Sequence[str]) -> str:
    return " ".join(f"`{key}`" for key in keys)


if __name__ == "__main__":
    sys.stdout.write(page())
