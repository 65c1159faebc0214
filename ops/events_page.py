"""Events page: docs/events.md, made from the vocabulary and the glossary."""

import sys
from collections.abc import Iterable, Sequence

from ops.events import Event, Kind
from ops.glossary import COMMON, IN_REQUEST, IN_TASK, KEYS
from ops.vocabulary import VOCABULARY

#: An exam is started, its deadline passes, and it is absent: lines of one, as they were written.
EXAMPLES = (
    '{"ts": "2026-11-25T00:47:09.910Z", "event": "accepted", "part": "gateway", '
    '"pid": 32679, "entry": "1795567629909-0", "pk": "math-7", "type": "exam.start", '
    '"trace_id": "6116cbb75cda861027fbeac2840cd33f", '
    '"command_id": "01a2102b-b64d-7496-a045-7c6e49ee6555", "level": "info", '
    '"chain": "8f14be53ee9f4da5", "seq": 4, "prev": "3a7bf502df2691f23da4e32f62e4aaad"}',
    '{"ts": "2026-11-25T00:47:11.922Z", "event": "deadline_fired", "part": "dispatcher", '
    '"pid": 32666, "pk": "math-7", "entry": "1795567631922-0", '
    '"deadline_ms": 1795567631909, "late_ms": 13, "level": "info", '
    '"chain": "e239a0709d96d4f8", "seq": 6, "prev": "a9d219b1ecc333889212b577d3906630"}',
    '{"ts": "2026-11-25T00:47:11.933Z", "event": "applied", "part": "worker-exam", '
    '"pid": 32676, "pk": "math-7", "command_id": "1795567631922-0", '
    '"entry": "1795567631922-0", "type": "exam.expire", '
    '"trace_id": "592e760f961454c8953ed35cf446d295", "verdict": "applied", "reason": null, '
    '"at_ms": 1795567631922, "value": 1795567631909, "source": null, "redelivered": false, '
    '"task_id": "0ae58bde-1358-4b52-ad63-799989dc9161", "task": "tasks.exam", '
    '"level": "info", "chain": "524476556d3a4c79", "seq": 5, '
    '"prev": "941440f734fcfc9c0a45d303bbfdc67b"}',
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
