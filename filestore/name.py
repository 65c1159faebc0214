"""Name: what an exam can be called, so that it is the name of a file in its folder. Pure."""

import re
from hashlib import sha256

#: The whole of a name; each kind of regular expression has its own way to say so.
PATTERN = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_NAME = re.compile(PATTERN, re.ASCII)


def is_name(pk: str) -> bool:
    """Whether an exam can be called so."""
    return bool(_NAME.fullmatch(pk))


def checked(pk: str) -> str:
    """
    Return the name as it is.

    Raises:
        ValueError: No exam can be called so.
    """
    if not is_name(pk):
        raise ValueError(f"no exam can be called {pk[:80]!a}")
    return pk


def shard_of(pk: str) -> str:
    """Name the folder of an exam: one of 256, which keep each small at a million exams."""
    return sha256(pk.encode()).hexdigest()[:2]
