"""Verdicts: wait for what the rules say to a command, and find it in its exam's document."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from filestore.document import Damaged
from filestore.exam import Reason
from filestore.store import Store
from ingest.answering import Unavailable
from ingest.disk import look
from ingest.feed import Feed, Happening

#: Seconds between two looks at the document while no event tells of the command: one may be
#: missed while Redis is away, and a command that came twice has none of its own.
LOOK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """
    A command in its exam's history.

    Attributes:
        document: The exam as it lies on disk.
        record: What stands in its history: verdict, reason, task and so on.
    """

    document: bytes
    record: Mapping[str, Any]

    def exam(self) -> object:
        """Make the document the value that it stands for."""
        return json.loads(self.document)

    @property
    def reason(self) -> Reason | None:
        """Why it was refused; None when it was not."""
        found = self.record.get("reason")
        return Reason(found) if found else None


def find(document: bytes, is_it: Callable[[Mapping[str, Any]], bool]) -> Judged | None:
    """Find the first record of a command: what came after it under the same id is its shadow."""
    history = json.loads(document)["history"]
    record = next((record for record in history if is_it(record)), None)
    return None if record is None else Judged(document=document, record=record)


class Verdicts:
    """Those of this process that wait for a verdict, woken by one subscription to the events."""

    def __init__(self, feed: Feed, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._is_ending = False
        feed.subscribe(self._hear, is_needed=lambda: bool(self._waiting))

    @contextlib.contextmanager
    def expecting(self, command: str) -> Iterator[asyncio.Event]:
        """Listen for a command, from before it is sent: set as soon as it was judged."""
        event = asyncio.Event()
        listening = self._waiting.setdefault(command, set())
        listening.add(event)
        try:
            yield event
        finally:
            listening.remove(event)
            if not listening:
                del self._waiting[command]

    async def within(
        self, seconds: float, event: asyncio.Event, *, pk: str, command: str, is_new: bool
    ) -> Judged | None:
        """
        Wait for so long at most.

        Args:
            is_new: Whether the command has just been sent for the first time: then nothing can be
                known of it before an event tells, or a first while has passed.

        Returns:
            None when nothing is known by then, or this process ends, or the disk is away: the
            command is taken all the same.
        """
        with contextlib.suppress(TimeoutError, Unavailable, Damaged):
            async with asyncio.timeout(seconds):
                found = None if is_new else await self.now(pk, command)
                while not (found or self._is_ending):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_S):
                            await event.wait()
                    event.clear()
                    found = await self.now(pk, command)
                return found
        return None

    def end(self) -> None:
        """Let everyone go who waits, and nobody wait any more."""
        self._is_ending = True
        for event in (event for events in self._waiting.values() for event in events):
            event.set()

    async def now(self, pk: str, command: str) -> Judged | None:
        """
        Look whether it has been judged.

        Raises:
            Unavailable: The disk does not answer.
            Damaged: The exam's file is not a document of ours.
        """
        document = await look(self._store.read_whole, pk)
        return find(document, lambda one: one["command"] == command) if document else None

    def _hear(self, happening: Happening) -> None:
        for event in self._waiting.get(happening.command or "", ()):
            event.set()
