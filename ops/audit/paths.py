"""Paths: find the log files that are meant."""

import glob
from collections.abc import Sequence
from pathlib import Path

STDIN = "-"


class Unreadable(Exception):  # noqa: N818 - says what the input is
    """An input cannot be read; the message says which and why."""


def find(names: Sequence[str]) -> list[Path]:
    """
    List the files that *names* mean: files, folders of logs, data folders, patterns, ``-``.

    Raises:
        Unreadable: One means nothing.
    """
    found: dict[Path, None] = {}
    for name in names:
        paths = [Path(name)] if name == STDIN else _meant(name)
        if not paths:
            raise Unreadable(f"{name}: {_why_nothing(Path(name))}")
        found |= dict.fromkeys(paths)
    return list(found)


def _meant(name: str) -> list[Path]:
    path = Path(name)
    if not path.exists():
        return sorted(Path(one) for one in glob.glob(name, recursive=True) if Path(one).is_file())  # noqa: PTH207
    if not path.is_dir():
        return [path]
    folder = path / "logs" if (path / "logs").is_dir() else path
    named = (p for p in folder.iterdir() if p.name.endswith((".jsonl", ".jsonl.gz")))
    return sorted(p for p in named if not (p.is_dir() or p.is_fifo()))  # those are no logs


def _why_nothing(path: Path) -> str:
    if path.is_dir():
        return "a folder without log files (*.jsonl, *.jsonl.gz)"
    return "there is no such file, folder or match"
