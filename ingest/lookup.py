"""Lookup: where a command stands, by its id or its entry's."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import redis.asyncio

from filestore.document import Damaged
from filestore.store import Store
from ingest import ids
from ingest.answering import answering
from ingest.commands import Command, decode
from ingest.disk import look
from ingest.faults import InvalidCommand
from ingest.verdicts import find
from ops import keys

#: Milliseconds by which the gateway's clock, in a command's id, and Redis' may differ, together
#: with what the command takes from one to the other.
SKEW_MS = 10_000
#: Entries in one page of a search, and pages.
PAGE_COUNT = 500
MOST_PAGES = 40

_ENTRY = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)

#: What is said of a command, by name.
Said = dict[str, object]


class Lookup:
    """Looks for commands on the stream and in the exams' histories. It writes nothing."""

    def __init__(self, client: "redis.asyncio.Redis", store: Store) -> None:
        self._redis = client
        self._store = store

    async def find(self, name: str) -> Said | None:
        """
        Say where a command stands; None when it is not known, or not any more.

        Args:
            name: The id that a gateway gave it, or the id of its entry.

        Raises:
            Unavailable: Redis or the disk does not answer.
        """
        if _is_entry(name):
            command = await self._read(name)
            if command is None:
                return None
            pk = getattr(command.data, "pk", None)
            known = command.id or name
            return await (
                self._of_exam(known, pk, entry=name) if pk else self._of_echo(command, entry=name)
            )
        found = ids.parts(name)
        if found is None:
            return None
        pk, uuid = found
        if pk:
            return await self._of_exam(name, pk, uuid=uuid)
        entry = await self._entry_of(name, uuid)
        command = await self._read(entry) if entry else None
        return await self._of_echo(command, entry=entry) if command and entry else None

    async def _of_exam(
        self, name: str, pk: str, *, entry: str | None = None, uuid: UUID | None = None
    ) -> Said | None:
        """Look into the history, then onto the stream, and into the history once more."""
        said = await self._judged(name, pk, entry=entry)
        if said:
            return said
        entry = entry or (await self._entry_of(name, uuid) if uuid else None)
        if entry is None:
            return await self._judged(name, pk, entry=None)
        async with answering():
            is_buried = await self._redis.hget(keys.TIMES, entry) == keys.BURIED.encode()
        state = "dead" if is_buried else "accepted"
        waiting: Said = {"command_id": name, "pk": pk, "entry": entry, "state": state}
        return await self._judged(name, pk, entry=entry) or waiting

    async def _judged(self, name: str, pk: str, *, entry: str | None) -> Said | None:
        def is_it(record: Mapping[str, Any]) -> bool:
            return bool(record["entry"] == entry if entry else record["command"] == name)

        with suppress(Damaged):
            document = await look(self._store.read_whole, pk)
            judged = find(document, is_it) if document else None
            if judged:
                return _said(judged.record, pk)
        return None

    async def _of_echo(self, command: Command, *, entry: str) -> Said:
        """Read how far its task came, in the words of `tasks/claims.py`."""
        name = command.id or entry
        async with answering():
            claim: Any = await self._redis.get(keys.echo(command.source, name))
        said: Said = {"command_id": name, "entry": entry, "state": "accepted"}
        if claim:
            state, task, *_ = json.loads(claim)
            said |= {"state": "applied" if state == "done" else "accepted", "task_id": task}
        return said

    async def _entry_of(self, name: str, uuid: UUID) -> str | None:
        """Find the entry of a command that came over HTTP: its id tells when, or the key's does."""
        async with answering():
            kept: Any = await self._redis.get(keys.once(str(uuid)))
            if kept:
                return str(kept, "ascii").partition(" ")[2]
            if uuid.version != 7:
                return None
            at_ms = uuid.int >> 80
            after, until = str(max(0, at_ms - SKEW_MS)), str(at_ms + SKEW_MS)
            for _ in range(MOST_PAGES):
                page: Any = await self._redis.xrange(keys.COMMANDS, after, until, count=PAGE_COUNT)
                for entry, fields in page:
                    if fields.get(b"id") == name.encode():
                        return str(entry, "ascii")
                if len(page) < PAGE_COUNT:
                    break
                after = f"({str(page[-1][0], 'ascii')}"
        return None

    async def _read(self, entry: str) -> Command | None:
        """Read a command from the stream; None when it is not there, or is none."""
        async with answering():
            found: Any = await self._redis.xrange(keys.COMMANDS, entry, entry)
        with suppress(InvalidCommand):
            return decode(found[0][1].items()) if found else None
        return None


def _is_entry(name: str) -> bool:
    """Whether it is an id that Redis takes for one: two numbers of 64 bits."""
    return bool(_ENTRY.fullmatch(name)) and all(int(part) < 1 << 64 for part in name.split("-"))


def _said(record: Mapping[str, Any], pk: str) -> Said:
    said: Said = {
        "command_id": record["command"],
        "pk": pk,
        "entry": record["entry"],
        "state": record["verdict"],
    }
    named = {"reason": record.get("reason"), "task_id": record.get("task")}
    return said | {name: value for name, value in named.items() if value}
