"""Recent: what was seen lately, so many at least and twice as many at most."""

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")

#: How many are remembered at least. At 250 commands a second it is a minute's: the clocks of
#: several hosts, and lines that come late, may differ by so much. Of what is forgotten too early a
#: note is made, no more; and more of them would not fit a processor's cache.
LEAST = 1 << 14


class Recent(Generic[V]):
    """A dict of two generations: when the younger one is full, the older one is forgotten."""

    def __init__(
        self, *, least: int = LEAST, forget: Callable[[str, V], object] | None = None
    ) -> None:
        """Take what to call with each key and value that is forgotten."""
        self._least = least
        self._forget = forget
        self._young: dict[str, V] = {}
        self._old: dict[str, V] = {}

    def put(self, key: str, value: V) -> None:
        """Remember."""
        self._young[key] = value
        if len(self._young) >= self._least:
            self._drop()

    def pop(self, key: str) -> V | None:
        """Take out what is remembered; None when there is nothing."""
        value = self._young.pop(key, None)
        return self._old.pop(key, None) if value is None else value

    def clear(self) -> None:
        """Forget all."""
        self._drop()
        self._drop()

    def _drop(self) -> None:
        forgotten, self._old, self._young = self._old, self._young, {}
        if self._forget:
            for key, value in forgotten.items():
                self._forget(key, value)
