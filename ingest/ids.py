"""Ids: the names that the gateway gives to what came without one."""

import base64
import os
import time
from uuid import UUID

#: Bytes of noise in a UUIDv7 (the 6 bits of version and variant are overwritten) and in a pk.
NOISE_BYTES = 10


def uuid7(*, unix_ms: int, noise: bytes) -> UUID:
    """
    Make a UUID that sorts by the moment it was made.

    Args:
        unix_ms: 48 bits.
        noise: 10 random bytes.

    Source: RFC 9562, section 5.7; the standard library has it from Python 3.14.
    """
    value = unix_ms << 80 | int.from_bytes(noise)
    version = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=version & ~(0x3 << 62) | 0x2 << 62)


def new_command_id() -> str:
    """Name a command."""
    return str(uuid7(unix_ms=time.time_ns() // 1_000_000, noise=os.urandom(NOISE_BYTES)))


def new_pk() -> str:
    """Name an exam: ``exam-`` and 16 letters or digits, which follow the rule for a pk."""
    return f"exam-{base64.b32encode(os.urandom(NOISE_BYTES)).decode().lower()}"
