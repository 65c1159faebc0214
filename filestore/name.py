"""Name: what an exam can be called, so that it is the name of a file in its folder. Pure."""

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


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
