"""Held: lines that were made and are to be written with others. Pure."""

from collections.abc import Iterator, Sequence
from select import PIPE_BUF
from typing import NamedTuple


class Held(NamedTuple):
    """
    A line that is to be written.

    Attributes:
        before, last: Number and hash of the line before it in its chain, and its own.
        shown: What standard output gets of it.
        text: What the file gets, without its newline.
    """

    before: tuple[int, str]
    last: tuple[int, str]
    shown: bytes
    text: bytes


def portions(held: Sequence[Held]) -> Iterator[list[Held]]:
    """
    Divide lines into what is written with one write.

    As much as a pipe takes as one: other processes write to it, too, and a longer text would be
    mixed with theirs. So it also stays in one page or two of the file, and is there whole, or not.
    """
    some: list[Held] = []
    size = 0
    for one in held:
        added = max(len(one.shown), len(one.text) + 1)
        if some and size + added > PIPE_BUF:
            yield some
            some, size = [], 0
        some.append(one)
        size += added
    if some:
        yield some
