"""Formats: how the texts of settings must look, and how they are shown. Pure."""

import re
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit


def redis_url(value: str | None) -> str | None:
    """
    Take the URL of a Redis; empty is as good as none.

    Raises:
        ValueError: It is none; the message says what is.
    """
    if not value:
        return None
    parts = urlsplit(url(value, schemes=("redis", "rediss", "unix")))
    path = "" if parts.scheme == "unix" else parts.path.strip("/")
    for database in (path, *parse_qs(parts.query).get("db", [])):
        if database and not (database.isascii() and database.isdecimal()):
            raise ValueError("a URL whose database is a number, such as redis://localhost/0")
    return value


def url(value: str, *, schemes: tuple[str, ...]) -> str:
    """
    Take a URL of one of these schemes.

    Raises:
        ValueError: It is none; the message says what is.
    """
    allowed = ", ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(value)
        is_complete = bool(parts.netloc or parts.path.strip("/"))
        _ = parts.port
    except ValueError:  # its own words may hold a piece of the password
        raise ValueError("a URL with a host (IPv6 in brackets) and a port of 0-65535") from None
    if parts.scheme not in schemes or not is_complete:
        raise ValueError(f"a URL that begins with one of {allowed}")
    return value


def without_login(redis_url: str) -> str:
    """Take user and password out of a URL of a Redis, wherever redis-py looks for them."""
    parts = urlsplit(redis_url)
    query = [(n, v) for n, v in parse_qsl(parts.query) if n not in ("username", "password")]
    host = parts.netloc.rpartition("@")[2]
    rest = f"?{urlencode(query)}" if query else ""
    return f"{parts.scheme}://{host}{parts.path}{rest}"


def mailbox(value: str) -> str:
    """
    Take one mail address.

    Raises:
        ValueError: It is none, or more than one.
    """
    name, at, host = value.rpartition("@")
    if not (name and at and host) or not value.isprintable() or set(value) & set(' ,;<>"'):
        raise ValueError("one mail address, name@host")
    return value


def max_min(value: str) -> str:
    """
    Take how many there may be at most and at least, without blanks.

    Raises:
        ValueError: It is no such pair.
    """
    parts = value.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise ValueError("MAX,MIN as two whole numbers, such as 4,1")
    most, least = (int(part) for part in parts)
    if not 1 <= least <= most:
        raise ValueError("MAX,MIN with 1 <= MIN <= MAX")
    return f"{most},{least}"


def masked(value: str) -> str:
    """Hide who logs in and with what, also in a URL that cannot be parsed."""
    if "://" not in value:
        return value
    hidden = re.sub(r"(?<=://).*@", "***@", value)
    return re.sub(r"(?i)((?:user|pass)[a-z_]*=)[^&#]*", r"\1***", hidden)
