"""Portions: a long list in parts that something can take at once. Pure."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def portions(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Divide *items*, in their order, into parts of *most* each; the last one has the rest."""
    return (items[at : at + most] for at in range(0, len(items), most))
