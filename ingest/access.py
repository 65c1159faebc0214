"""Access: API keys, and what each may do. Pure."""

import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any

from ingest.faults import shorten

#: Bytes of a secret. So many that it can be hashed fast: there are no likely ones to try, as there
#: are of passwords, and a slow hash would let strangers keep the gateway busy.
SECRET_BYTES = 32
#: Bytes of a key's id.
ID_BYTES = 4
#: Keys in one file, those that have ended included: some 3 MB, read within a tenth of a second.
MOST_KEYS = 10_000

_TOKEN = re.compile(r"inv_([0-9a-f]{8})_([A-Za-z0-9_-]{43})", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Scope(StrEnum):
    """What a key may do; each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def includes(self, other: "Scope") -> bool:
        """Whether who may do this may do the other as well."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class BadKeys(ValueError):  # noqa: N818 - says what the file is
    """A text is no list of keys; the message says what was seen."""


class TooManyKeys(ValueError):  # noqa: N818 - says what there is
    """There is no room for another key; the message says what to do."""


class Denied(Exception):  # noqa: N818 - says what the caller is
    """
    Nobody we know; the message says why, for the caller.

    Attributes:
        key: Id of the key that was shown, where it is one of ours.
    """

    def __init__(self, why: str, *, key: str | None = None) -> None:
        super().__init__(why)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """
    A key as it is kept: without its secret.

    Attributes:
        id: Eight hex characters; stands in the log.
        name: What it is for, in words.
        hash: SHA-256 of the secret, in hex.
        created_ms: Milliseconds since 1970, as all times here.
        expires_ms: From when on it is none any more; None: never.
        revoked_ms: When somebody took it back; None: nobody has.
    """

    id: str
    name: str
    scope: Scope
    hash: str
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None

    def state(self, now_ms: int) -> str:
        """Say ``valid``, ``revoked`` or ``expired``."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and now_ms >= self.expires_ms else "valid"


Keys = Mapping[str, ApiKey]


def new_key(
    name: str, scope: Scope, *, now_ms: int, expires_ms: int | None = None
) -> tuple[ApiKey, str]:
    """Make a key, and the token that its holder shows: nothing else holds the secret."""
    key_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    key = ApiKey(
        id=key_id,
        name=name,
        scope=scope,
        hash=_hash(secret),
        created_ms=now_ms,
        expires_ms=expires_ms,
    )
    return key, f"inv_{key_id}_{secret}"


def to_forget(keys: Keys, *, now_ms: int) -> list[str]:
    """
    List the keys that make room for another one: where there are as many as may be, all that ended.

    Raises:
        TooManyKeys: There is no room.
    """
    if len(keys) < MOST_KEYS:
        return []
    ended = [key.id for key in keys.values() if key.state(now_ms) != "valid"]
    if not ended:
        raise TooManyKeys(f"there are {MOST_KEYS:,} keys, as many as may be; revoke some first")
    return ended


def revoke(keys: Keys, key_id: str, *, now_ms: int) -> dict[str, ApiKey]:
    """
    Take a key back; one that was stays as it is.

    Raises:
        KeyError: There is none of this id.
    """
    key = keys[key_id]
    return {**keys, key_id: key if key.revoked_ms else replace(key, revoked_ms=now_ms)}


def identify(keys: Keys, header: str | None, *, now_ms: int) -> ApiKey:
    """
    Find whose key an ``Authorization`` header shows.

    Raises:
        Denied: Nobody's.
    """
    if not header:
        raise Denied("a key is needed: send the header Authorization: Bearer KEY")
    kind, _, token = header.partition(" ")
    match = _TOKEN.fullmatch(token.strip())
    if kind.lower() != "bearer" or match is None:
        raise Denied("the header Authorization is not Bearer and a key")
    key = keys.get(match[1])
    # Also for an id that nobody has, in the same time: which ids there are is nobody's business.
    is_right = hmac.compare_digest(_hash(match[2]), key.hash if key else _NOBODYS)
    if key is None or not is_right:
        raise Denied("the key is unknown", key=key.id if key else None)
    if (state := key.state(now_ms)) != "valid":
        raise Denied(f"the key {key.id} is {state}", key=key.id)
    return key


def dump(keys: Keys) -> str:
    """Write keys for their file."""
    return json.dumps({"keys": [asdict(key) for key in keys.values()]}, indent=1) + "\n"


def load(text: str) -> dict[str, ApiKey]:
    """
    Read back what `dump` wrote.

    Raises:
        BadKeys: Somebody else wrote it, or edited it.
    """
    try:
        entries = json.loads(text)["keys"]
        found = [_key(entry) for entry in entries]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise BadKeys(f"it is no list of keys: {type(error).__name__}: {error}") from error
    if len(found) > MOST_KEYS:
        raise BadKeys(f"it has {len(found):,} keys; {MOST_KEYS:,} may be in it")
    keys = {key.id: key for key in found}
    if len(keys) < len(found):
        raise BadKeys("it has an id twice")
    return keys


def _key(entry: Mapping[str, Any]) -> ApiKey:
    key = ApiKey(**{**entry, "scope": Scope(entry["scope"])})
    times = [key.created_ms, *(t for t in (key.expires_ms, key.revoked_ms) if t is not None)]
    texts = (key.id, key.name, key.hash)
    if not all(type(time) is int for time in times) or not all(type(text) is str for text in texts):
        raise ValueError(f"an entry of other types: {shorten(key.id)}")
    if not _HASH.fullmatch(key.hash):
        raise ValueError(f"the hash of {shorten(key.id)} is none")
    return key


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


_NOBODYS = _hash(secrets.token_hex())
