"""Ids: the names that the gateway gives to what came without one."""

import base64
import re
import time
from collections.abc import Sequence
from uuid import UUID

from ops import chance

#: Bytes of noise in a UUIDv7 (the 6 bits of version and variant are overwritten) and in a pk.
NOISE_BYTES = 10
#: What becomes of the hex digit whose upper half says that a UUID is one of the RFC's.
_VARIANT = {f"{digit:x}": f"{digit & 0x3 | 0x8:x}" for digit in range(16)}
#: An exam's name, as `ingest/commands.py` has it, where there is one; then a UUID.
_COMMAND_ID = re.compile(
    r"(?:([A-Za-z0-9][A-Za-z0-9._-]{0,63})\.)?"
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
)


def uuid7(*, unix_ms: int, noise: bytes) -> str:
    """
    Make a UUID that sorts by the moment it was made; as text, which is all that is asked of it.

    Args:
        unix_ms: 48 bits.
        noise: 10 random bytes.

    Source: RFC 9562, section 5.7; the standard library has it from Python 3.14.
    """
    return _uuid7(_head(unix_ms), noise.hex())


def _head(unix_ms: int) -> str:
    """Write all of a UUIDv7 that the moment decides, and its version."""
    time_hex = f"{unix_ms:012x}"
    return f"{time_hex[:8]}-{time_hex[8:]}-7"


def _uuid7(head: str, hexes: str) -> str:
    return f"{head}{hexes[1:4]}-{_VARIANT[hexes[4]]}{hexes[5:8]}-{hexes[8:]}"


def new_uuid() -> str:
    """Make one that no command has."""
    return uuid7(unix_ms=time.time_ns() // 1_000_000, noise=chance.noise(NOISE_BYTES))


def command_id(uuid: UUID | str, *, pk: str | None) -> str:
    """
    Name a command: ``<pk>.<uuid>``, or the UUID where it is about no exam.

    So the exam, whose history tells what became of the command, is found by the id alone.
    """
    return f"{pk}.{uuid}" if pk else str(uuid)


def command_ids(pks: Sequence[str]) -> list[str]:
    """Name a command of each exam, as `command_id` does with a new UUID; all at this moment."""
    head, size = _head(time.time_ns() // 1_000_000), 2 * NOISE_BYTES
    hexes = chance.noise(NOISE_BYTES * len(pks)).hex()
    return [
        command_id(_uuid7(head, hexes[at : at + size]), pk=pk)
        for pk, at in zip(pks, range(0, len(hexes), size), strict=True)
    ]


def parts(command: str) -> tuple[str | None, UUID] | None:
    """Take the pk and the UUID out of a command's id; None when no gateway made it."""
    found = _COMMAND_ID.fullmatch(command)
    return (found[1], UUID(found[2])) if found else None


def new_pk() -> str:
    """Name an exam: ``exam-`` and 16 letters or digits, which follow the rule for a pk."""
    return _pk(chance.noise(NOISE_BYTES))


def pk_of(uuid: UUID) -> str:
    """Name the exam of a start that came with an idempotency key: the same at every gateway."""
    return _pk(uuid.bytes[:NOISE_BYTES])


def _pk(noise: bytes) -> str:
    return f"exam-{base64.b32encode(noise).decode().lower()}"
