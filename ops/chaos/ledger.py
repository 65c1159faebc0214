"""Ledger: what was sent and what was acknowledged, on the disk before anyone can deny it."""

import asyncio
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

#: Seconds between two syncs: what the ledger itself could lose to a power cut.
SYNC_EVERY_S = 0.05


@dataclass(slots=True, kw_only=True)
class Sent:
    """
    One command as it was sent, once.

    Attributes:
        at_s: Seconds since 1970, by the driver's clock, when it was sent.
        value: Duration, status, deadline, or text.
        id: The command's id, where it is known.
        entry: Entry id, when it was acknowledged; None while nobody knows whether it arrived.
        denied: Answer that says it was not taken, such as ``404``.
    """

    at_s: float
    door: str
    type: str
    pk: str | None = None
    value: int | str | None = None
    id: str | None = None
    entry: str | None = None
    denied: str | None = None


class Ledger:
    """Append-only JSON lines: one when a command is sent, one when its answer is there."""

    def __init__(self, path: Path) -> None:
        self.sent: list[Sent] = []
        self.acknowledged = 0
        self._lines: list[str] = []
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o640)

    def send(
        self,
        door: str,
        type_name: str,
        *,
        pk: str | None = None,
        value: int | str | None = None,
        command_id: str | None = None,
    ) -> Sent:
        """Note a command that goes out now."""
        sent = Sent(at_s=time.time(), door=door, type=type_name, pk=pk, value=value, id=command_id)
        self.sent.append(sent)
        self._note(len(self.sent) - 1, sent)
        return sent

    @property
    def pks(self) -> set[str]:
        """Every exam that a command was sent for."""
        return {sent.pk for sent in self.sent if sent.pk is not None}

    def acknowledge(self, sent: Sent, *, entry: str, command_id: str) -> None:
        """Note the promise: the system has it."""
        sent.entry, sent.id = entry, command_id
        self.acknowledged += 1
        self._note(None, sent)

    def deny(self, sent: Sent, answer: str) -> None:
        """Note the answer that the system does not take it."""
        sent.denied = answer
        self._note(None, sent)

    async def keep(self) -> None:
        """Write and sync what was noted, until cancelled."""
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Put all that was noted on the disk."""
        lines, self._lines = self._lines, []
        if lines:
            rest = ("\n".join(lines) + "\n").encode()
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Write the rest, and close the file."""
        self.flush()
        os.close(self._descriptor)

    def _note(self, number: int | None, sent: Sent) -> None:
        fields = {name: value for name, value in asdict(sent).items() if value is not None}
        self._lines.append(json.dumps(fields if number is None else {"n": number, **fields}))
