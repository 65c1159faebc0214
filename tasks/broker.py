"""Broker: where Celery finds the Redis that our settings name."""

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit


def broker_url(redis_url: str) -> str:
    """
    Write a redis-py URL as kombu spells it.

    A socket's scheme differs, and what redis-py takes from the query - database, user, password -
    kombu wants in its place before it.
    """
    parts = urlsplit(redis_url)
    query = dict(parse_qsl(parts.query))
    database = query.pop("db", "") or (parts.path.strip("/") if parts.scheme != "unix" else "")
    user = query.pop("username", unquote(parts.username or ""))
    password = query.pop("password", unquote(parts.password or ""))
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
    if parts.scheme == "unix":
        query = {"virtual_host": database or "0", **query}
        return f"redis+socket://{login}{parts.path}?{urlencode(query)}"
    host = parts.netloc.rpartition("@")[2]
    rest = f"?{urlencode(query)}" if query else ""
    return f"{parts.scheme}://{login}{host}/{database or 0}{rest}"
