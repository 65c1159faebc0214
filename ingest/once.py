"""Once: what makes a request that is sent again the same command. Pure."""

import re
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid5

from ingest.commands import Command, encode
from ingest.faults import Fault, shorten

#: Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
HEADER = "Idempotency-Key"
#: Seconds for which a key is remembered. After that the exam's history still knows its command.
KEPT_S = 24 * 3600
#: Names of commands that were made from a key; the value is arbitrary, and must stay.
NAMESPACE = UUID("8f0f6a1c-52a7-4d0e-9b1f-2d7c0c3f6e11")
#: A string of the structured fields (RFC 9651), or the same without its quotes, as many clients
#: send it.
_KEY = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,200})"|([!#-\[\]-~]{1,200})')


class BadKey(ValueError):  # noqa: N818 - says what it is
    """The header is no key; carries what is wrong."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Key:
    """
    A client's own name for one command.

    Attributes:
        uuid: Made from the key: the same at every gateway.
    """

    uuid: UUID


def read_key(values: list[str]) -> Key | None:
    """
    Read the header, which may stand once; None without it.

    Raises:
        BadKey: It stands more often, or is not 1 to 200 visible ASCII characters.
    """
    if not values:
        return None
    found = _KEY.fullmatch(values[0].strip(" \t"))
    if len(values) > 1 or not found:
        seen = "twice" if len(values) > 1 else shorten(ascii(values[0]))
        raise BadKey(Fault(HEADER, f"must be 1 to 200 visible ASCII characters, once; seen {seen}"))
    text = re.sub(r"\\(.)", r"\1", found[1]) if found[1] else found[2]
    return Key(uuid5(NAMESPACE, text))


def fingerprint(command: Command) -> str:
    """Digest of what a command asks for, whoever asks: 32 hexadecimal digits."""
    fields = encode(command)
    return sha256(f"{fields['type']} {fields['data']}".encode()).hexdigest()[:32]
