"""Hygiene: what a log line must not hold, or not all of. Pure."""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

#: Characters of a line from which on it is looked at more closely.
LONG_LINE = 4_000
#: Characters that are kept of a long text, and of a traceback, whose end says most.
LONGEST_TEXT = 2_000
LONGEST_TRACEBACK = 16_000
#: Names of keys whose values nobody should read in a log.
SECRET = frozenset(
    {"password", "passwd", "secret", "token", "authorization", "api_key", "cookie", "set_cookie"}
)
HIDDEN = "***"

_MAIL = re.compile(
    r"[A-Za-z0-9._%+-]{1,64}@(?:localhost\b|[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+)"
)
_LOGIN = re.compile(r"(?<=://)[^/@\s\"']{1,500}@")
_BEARER = re.compile(r"\b(Bearer|bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_fast = msgspec.json.Encoder().encode
_encode = json.JSONEncoder(default=str).encode


def render(event: Mapping[str, Any]) -> bytes:
    """Make the line: JSON in ASCII, so that no value ends it, colours it or hides in it."""
    compact = _compact(event)
    line = compact or _encode(event).encode()
    if len(line) > LONG_LINE or not SECRET.isdisjoint(event) or _hints(line):
        return _encode({key: clean(key, value) for key, value in event.items()}).encode()
    return msgspec.json.format(line, indent=0) if compact else line


def _compact(event: Mapping[str, Any]) -> bytes | None:
    """Make JSON fast, without a space, where the values allow it: a line costs much of all work."""
    if _are_plain(event):
        try:
            line = _fast(event)
        except (ValueError, OverflowError):  # half of a surrogate pair, an integer of 65 bits
            return None
        if line.isascii() and b"\x7f" not in line:
            return line
    return None


def _hints(line: bytes) -> bool:
    """Whether a line may hold a secret: to ask that costs less than to look closely."""
    return b"@" in line or (b" " in line and (b"earer " in line or b"Basic " in line))


def _are_plain(event: Mapping[str, Any]) -> bool:
    """Whether all values are of types that are the same in everybody's JSON."""
    if _plain.issuperset(map(type, event.values())):
        return True
    kinds = set(map(type, event.values()))
    _plain.update(kind for kind in kinds if issubclass(kind, StrEnum))
    return _plain.issuperset(kinds - {list}) and all(
        _NAMES.issuperset(map(type, value)) for value in event.values() if type(value) is list
    )


#: Types of what a list may hold that is plain.
_NAMES = frozenset({str, int})
#: Types of plain values; enumerations are added as they come.
_plain: set[type] = {str, int, bool, type(None)}


def redact(text: str) -> str:
    """Hide mail addresses, logins in URLs, and tokens of HTTP headers."""
    hidden = _LOGIN.sub(f"{HIDDEN}@", text)
    hidden = _MAIL.sub("[mail address]", hidden)
    return _BEARER.sub(rf"\1 {HIDDEN}", hidden)


def shorten(text: str, *, most: int = LONGEST_TEXT) -> str:
    """Cut a long text, and say how long it was; its end is kept as well as its beginning."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} [{len(text):,} characters] {text[-half:]}"


def clean(key: object, value: Any) -> Any:
    """Hide and cut what the value of *key* must not show."""
    if isinstance(key, str) and key.lower() in SECRET:
        return HIDDEN
    match value:
        case str():
            most = LONGEST_TRACEBACK if key == "exception" else LONGEST_TEXT
            return redact(shorten(value, most=most))
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {shorten(str(name)): clean(name, one) for name, one in value.items()}
        case list() | tuple():
            return [clean("", one) for one in value]
        case _:
            return redact(shorten(str(value)))
