"""Problems page: docs/problems.md, made from the table of problems and the guide to them."""

import json
import sys

from ingest.guide import GUIDE, example
from ingest.problems import CONTENT_TYPE, RETRY_AFTER_S, TABLE, Name

PAGE = """\
# Problems

What the gateway does not do, it says as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) has it:
`{content_type}` with `type`, `title`, `status` and `detail`. Programs go by `type`,
which never changes; `detail` is for people, and its words may change. `errors` names what is wrong,
field by field, where that can be said. With a 503 comes `Retry-After: {retry_after}`, with a 405
`Allow`.

A status that is not below has the type `about:blank`: it means what HTTP says.

This page is made from `ingest/problems.py` and `ingest/guide.py`, and a test compares it with them:

    python -m ingest.problems_page > docs/problems.md

{overview}
{problems}"""


def page() -> str:
    """Make the page."""
    rows = [f"| [`{name}`](#{name}) | {TABLE[name][0]} | {TABLE[name][1]} |" for name in Name]
    return PAGE.format(
        content_type=CONTENT_TYPE,
        retry_after=RETRY_AFTER_S,
        overview="\n".join(["| type | status | title |", "|---|---|---|", *rows]),
        problems="".join(map(_section, Name)),
    )


def _section(name: Name) -> str:
    status, title = TABLE[name]
    explained = GUIDE[name]
    shown = json.dumps(example(name), indent=2, ensure_ascii=False)
    return f"""
## {name}

{status}, *{title}*.

{explained.when}

**What to do.** {explained.remedy}

```json
{shown}
```
"""


if __name__ == "__main__":
    sys.stdout.write(page())
