"""Hostile: what somebody may send to break out of a value, and how one sees that it did not."""

import os
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: One of each kind. A new one is tried at every door by itself.
TEXTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "a\r\nSet-Cookie: a=b",
    "a\r\n\r\nHTTP/1.1 200 OK",
    'a\n{"event": "applied", "part": "gateway"}',
    "a\nBcc: everybody@evil.test",
    "=?utf-8?q?a=40evil.test=2C?=",
    "../../../../tmp/invigil-was-here",
    "..",
    "/etc/passwd",
    "..\\..\\boot.ini",
    ".tmp/x",
    "\x00",
    "a\x00b.json",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b31m\x85\u2028\u2029\x0b\x0c",
    "\u202egnp.exe\u202c",
    "\u2066\u200b\ufeff",
    "m\u0430th-7",  # a Cyrillic letter in a Latin word
    "ｍａｔｈ-7",
    "é" * 2048,
    "x" * 4096,
    "\U0001f600\u0301",
    "\udcff\ud800",
    '"',
    "'",
    "`id`",
    "$(id)",
    "; rm -rf /",
    "{{7*7}}{% raw %}",
    "${7*7}",
    "%s%n%(x)s",
    "{0.__class__}{x!r:>{y}}",
    "*1\r\n$8\r\nFLUSHALL\r\n",
    "[bold red]x[/]",
    "",
    " ",
    "null",
    "-1",
    "--help",
    "NaN",
)
texts = st.sampled_from(TEXTS) | st.lists(st.sampled_from(TEXTS), min_size=2, max_size=3).map(
    "".join
)
#: Those that an argument of a program, or a variable of its environment, can be.
words = texts.map(lambda text: text.replace("\x00", "")).map(
    lambda text: text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
)


def is_harmless(printed: str) -> bool:
    """Whether a terminal shows all of a text, and obeys none of it."""
    return all(line.isprintable() for line in printed.split("\n"))


def tree(folder: Path) -> set[Path]:
    """All that lies in a folder, at any depth."""
    return set(folder.rglob("*"))


def examples(count: int) -> settings:
    """Try so many; with ``HYPOTHESIS_PROFILE=thorough`` twenty times as many."""
    more = 20 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 1
    unhurried = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)
    return settings(
        max_examples=count * more,
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=unhurried,
    )
