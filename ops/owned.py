"""Owned: files that their owner alone may use."""

#: Who may read and write such a file.
MODE = 0o600


def complaint(path: object, mode: int, *, allowed: int = MODE) -> str | None:
    """Say that a file is open to others, and what to do; None: it is not."""
    if mode & ~allowed:
        return f"{path} is open to others ({mode:o}); close it: chmod 600 {path}"
    return None
