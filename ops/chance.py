"""Chance: random bytes of the system, without a system call for each name that is made of them."""

import os
import threading

#: Bytes that are asked for at once.
AT_ONCE = 4096


class _Stock:
    """Bytes that nobody has had yet. A forked process has none of its parent's."""

    def __init__(self) -> None:
        self.clear()
        os.register_at_fork(after_in_child=self.clear)

    def clear(self) -> None:
        """Forget what is left, and who was taking of it."""
        self._lock = threading.Lock()
        self._stock = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """Hand out *count* bytes, which nobody gets again."""
        with self._lock:
            begin, end = self._at, self._at + count
            if end > len(self._stock):
                self._stock, begin, end = os.urandom(max(count, AT_ONCE)), 0, count
            self._at = end
            return self._stock[begin:end]


_stock = _Stock()


def noise(count: int) -> bytes:
    """
    Return *count* random bytes, as good as those of `os.urandom`.

    For names, of which a request needs several. A secret is made with `secrets`, and kept nowhere.
    """
    return _stock.take(count)
