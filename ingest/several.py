"""Several: who waits for the answers to many commands, with one future for all of them."""

import asyncio


class Several:
    """The answers to some commands, as they come."""

    def __init__(self) -> None:
        self.is_over = False
        self._parts: list[Part] = []
        self._left = 0
        self._all: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def part(self) -> "Part":
        """Make what waits for one answer more."""
        part = Part(self)
        self._parts.append(part)
        self._left += 1
        return part

    def note(self) -> None:
        """Count an answer that has come."""
        self._left -= 1
        if not (self._left or self._all.done()):
            self._all.set_result(None)

    async def wait(self, limit_s: float) -> None:
        """Wait for all, for so long at most; from then on nobody waits for those that are left."""
        try:
            if self._left:
                await asyncio.wait({self._all}, timeout=limit_s)
        finally:
            self.is_over = True

    def answers(self) -> list[bytes | Exception | None]:
        """List what has come, in the order of the parts; None where nothing has."""
        return [part.answer for part in self._parts]


class Part:
    """
    Who waits for one of several answers: an `ingest.batch.Answer`.

    Attributes:
        answer: What came; None before.
    """

    __slots__ = ("_several", "answer")

    def __init__(self, several: Several) -> None:
        self._several = several
        self.answer: bytes | Exception | None = None

    def done(self) -> bool:
        """Whether nobody waits any more."""
        return self.answer is not None or self._several.is_over

    def set_result(self, entry: bytes) -> None:
        """Take the entry's id."""
        self.answer = entry
        self._several.note()

    def set_exception(self, error: Exception) -> None:
        """Take what went wrong."""
        self.answer = error
        self._several.note()
