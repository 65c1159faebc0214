"""Connect: how every part talks to Redis, with the same time limits and retries."""

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.credentials import CredentialProvider
from redis.retry import Retry

#: Seconds to wait for a connection, and for an answer. A blocking read asks for less than this.
CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
#: Connections of one process: hundreds of green threads, or requests, take turns on them.
MOST_CONNECTIONS = 64
#: The gateway's tries after the first: a server that restarts is back within a second or so.
RETRIES = 3
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 0.5


def connect(
    url: str, *, login: CredentialProvider | None = None, name: str | None = None
) -> "redis.Redis":
    """
    Make a client that answers bytes. Nothing is sent until it is used.

    Args:
        login: Who asks, when the URL does not say it.
        name: What the server calls its connections, for whoever lists them.

    It sends nothing twice: after a lost answer nobody knows whether the server did it. A read
    that was repeated would skip the entries that the first one took, and a repeated transaction
    would count twice. Whoever calls begins anew instead, from what is pending.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=MOST_CONNECTIONS,
        timeout=ANSWER_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        client_name=name,
        credential_provider=login,
        driver_info=None,
        retry=Retry(NoBackoff(), 0),
    )
    return redis.Redis.from_pool(pool)


def connect_async(url: str, *, login: CredentialProvider | None = None) -> "redis.asyncio.Redis":
    """
    Make a client for an event loop, that tries again.

    One XADD can make two entries when an answer is lost. Both carry the same command id, and the
    rules tell them apart.
    """
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=MOST_CONNECTIONS,
        timeout=ANSWER_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        credential_provider=login,
        driver_info=None,
        retry=AsyncRetry(ExponentialBackoff(cap=LONGEST_WAIT_S, base=FIRST_WAIT_S), RETRIES),
    )
    return redis.asyncio.Redis.from_pool(pool)


#: What a caller catches to say "Redis is away": no connection, no login, no answer, or an answer
#: that a restarting, full, read-only or closed server gives. Errors of ours (wrong type, NOSCRIPT)
#: are not here.
UNAVAILABLE = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.NoPermissionError,
)


#: How the answers begin for which redis-py has no class: a full disk, too few replicas, a script
#: that calls what its caller may not (Redis 7.2 and Valkey, then Redis 7.0).
AWAY_WORDS = (
    *("MISCONF", "NOREPLICAS"),
    *("ACL failure in script", "The user executing the script can't"),
)
#: What a stream says that has an entry with the greatest id there is: somebody forged it.
GREATEST_ID = f"{2**64 - 1}-{2**64 - 1}"
EXHAUSTED = "exhausted the last possible ID"


def is_away(error: BaseException) -> bool:
    """Whether another try, later, can cure it, as far as Redis is concerned."""
    if isinstance(error, UNAVAILABLE) or is_exhausted(error):
        return True
    return isinstance(error, redis.exceptions.ResponseError) and str(error).startswith(AWAY_WORDS)


def is_exhausted(error: BaseException) -> bool:
    """Whether a stream takes no entry any more, until a person has made it anew."""
    return isinstance(error, redis.exceptions.ResponseError) and EXHAUSTED in str(error)
