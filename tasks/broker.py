"""Broker: where Celery finds the Redis that our settings name, and as whom."""

from functools import cache
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ops import logins
from ops.logins import Login
from ops.roles import Role
from ops.settings import Settings

#: Where kombu finds who logs in, when the URL does not say it.
LOGIN = f"{__name__}:login"


def broker_url(redis_url: str, *, has_logins: bool = False) -> str:
    """
    Write a redis-py URL as kombu spells it.

    A socket's scheme differs, and what redis-py takes from the query - database, user, password -
    kombu wants in its place before it. Over TLS kombu believes any certificate unless it is told
    not to; redis-py believes none that it cannot check.

    Args:
        has_logins: Whether `login` says who asks.
    """
    parts = urlsplit(redis_url)
    query = dict(parse_qsl(parts.query))
    database = query.pop("db", "") or (parts.path.strip("/") if parts.scheme != "unix" else "")
    user = query.pop("username", unquote(parts.username or ""))
    password = query.pop("password", unquote(parts.password or ""))
    at = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
    if has_logins:
        query["credential_provider"] = LOGIN
    if parts.scheme == "unix":
        query = {"virtual_host": database or "0", **query}
        return f"redis+socket://{at}{parts.path}?{urlencode(query)}"
    if parts.scheme == "rediss":
        query.setdefault("ssl_cert_reqs", "required")
    host = parts.netloc.rpartition("@")[2]
    rest = f"?{urlencode(query)}" if query else ""
    return f"{parts.scheme}://{at}{host}/{database or 0}{rest}"


@cache
def login() -> Login | None:
    """Find the login of this worker; kombu asks by name."""
    return logins.of(Settings.read(), Role.WORKER)
