"""Formats: how the texts of settings must look, and how they are shown. Pure."""

import re
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from pydantic.fields import FieldInfo

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII)
#: A limit that is not there.
OFF = "off"
#: Seconds of each unit of a rate.
UNITS_S = {"second": 1, "minute": 60, "hour": 3600}
_RATE = re.compile(rf"[1-9][0-9]{{0,6}}/(?:{'|'.join(UNITS_S)})", re.ASCII)
#: Characters of a mail address (RFC 5321, 4.5.3.1).
MOST_MAILBOX = 254
#: What every mail program reads as one address: words with dots between them, without quotes,
#: comments, groups, or the encoded words of RFC 2047, which can hold a second one.
_MAILBOX = re.compile(
    r"(?!.*=\?)[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@[\w-]+(?:\.[\w-]+)*"
)


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


def origins(value: str) -> str:
    """
    Take origins as browsers send them, separated by commas; none is allowed.

    Raises:
        ValueError: One is none: it has a path, a user, capital letters, or is ``*`` or ``null``.
    """
    found = [one.strip() for one in value.split(",") if one.strip()]
    if not all(map(_ORIGIN.fullmatch, found)):
        raise ValueError("origins such as https://exams.example.org, separated by commas")
    return ",".join(found)


def address(scheme: str, host: str, port: int) -> str:
    """Write where something is served; an address of IPv6 needs its brackets."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


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
    if len(value) > MOST_MAILBOX or not _MAILBOX.fullmatch(value):
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


def rate(value: str) -> str:
    """
    Take how often something may be; empty is as good as ``off``.

    Raises:
        ValueError: It is no rate.
    """
    if value in {"", OFF}:
        return OFF
    if not _RATE.fullmatch(value):
        raise ValueError(f"NUMBER/second, NUMBER/minute or NUMBER/hour, such as 1000/second; {OFF}")
    return value


def per_s(value: str) -> tuple[int, int] | None:
    """Read what `rate` took: so many in so many seconds; None: as many as come."""
    if value == OFF:
        return None
    most, _, unit = value.partition("/")
    return int(most), UNITS_S[unit]


def masked(value: str, *, is_secret: bool = False) -> str:
    """
    Hide who logs in and with what, also in a URL that cannot be parsed.

    Args:
        is_secret: Whether there may be a login in what is no URL, too.
    """
    if "://" not in value:
        return re.sub(r"(?s).*@", "***@", value) if is_secret else value
    hidden = re.sub(r"(?is)((?:user|pass)[a-z_]*=).*", r"\1***", value)  # to the end: `&` and `#`
    return re.sub(r"(?s)(?<=://).*@", "***@", hidden)  # may stand in a password


def numbers(info: FieldInfo | None) -> str:
    """Say which numbers a setting can be; empty when it is no number."""
    kinds = {int: "a whole number", float: "a number"}
    kind = kinds.get(info.annotation) if info and isinstance(info.annotation, type) else None
    if info is None or kind is None:
        return ""
    bounds = {type(bound).__name__: bound for bound in info.metadata}
    least, most = bounds.get("Ge"), bounds.get("Le")
    if least is None:
        return kind
    return f"{kind}, {least.ge} to {most.le}" if most else f"{kind}, {least.ge} or more"
