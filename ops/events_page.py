"""Events page: docs/events.md, made from the vocabulary and the glossary."""

import sys
from collections.abc import Iterable, Sequence

from ops.events import Event, Kind
from ops.glossary import COMMON, CONTEXT, KEYS
from ops.vocabulary import VOCABULARY

#: Lines of one exam that nobody finished, as three parts wrote them.
EXAMPLES = ("",)

PAGE = """\
# Log lines

Every part writes one JSON object per line to `logs/<part>.jsonl` in the data folder. This page is
all that a line of ours can say; it is made from `ops/vocabulary.py` and `ops/glossary.py`, and a
test compares it with them:

    python -m ops.events_page > docs/events.md

## Every line

Every line has {common}: the first five at
its beginning, the others, which the log itself writes, at its end. The event's own keys stand
between them.

A process also writes what it knows of all it says meanwhile. Within a Celery task any line may have
`task_id` and `task`, and while a request is answered
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
        request=_listed([key for key in CONTEXT if not key.startswith("task")]),
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
