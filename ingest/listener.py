"""Listener: where the gateway listens, and for how many."""

import asyncio
import contextlib
import errno
import resource

from ingest.certificate import Certificate
from ingest.connections import Connections
from ops import formats
from ops.settings import Settings, variable

#: Files that are open at once: each client who listens to the events is one.
MOST_FILES = 65_536
#: Of these, for what is no connection: logs, Redis, bodies that do not fit into memory; and for the
#: spare connections.
OWN_FILES = 256
#: Connections that the system holds until we have taken them: a room full of clients comes at once.
BACKLOG = 1024
#: Seconds for a client to agree upon TLS, and to end it.
HANDSHAKE_S, GOODBYE_S = 8.0, 1.0


def most_connections(settings: Settings) -> int:
    """Say how many connections there may be: as is set, or as many as there can be files for."""
    files = _take_files()
    return min(settings.max_connections, max(files - OWN_FILES, files // 2))


async def listen(
    connections: Connections, settings: Settings, tls: Certificate | None
) -> asyncio.Server:
    """
    Take connections from now on.

    Raises:
        OSError: It cannot listen there; `why_not` has the words.
    """
    return await asyncio.get_running_loop().create_server(
        connections,
        settings.host,
        settings.port,
        backlog=BACKLOG,
        ssl=tls.context if tls else None,
        ssl_handshake_timeout=HANDSHAKE_S if tls else None,
        ssl_shutdown_timeout=GOODBYE_S if tls else None,
    )


def url(server: asyncio.Server, settings: Settings) -> str:
    """Where it listens: with port 0, only the socket knows."""
    host, port = server.sockets[0].getsockname()[:2]
    return formats.address(settings.scheme, host, port)


def why_not(settings: Settings, error: OSError | UnicodeError) -> str:
    """Name the setting to change."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"{variable('port')}: port {settings.port} of {settings.host} is in use"
    if number == errno.EACCES:
        return f"{variable('port')}: port {settings.port} is not allowed: {error}"
    return f"{variable('host')}: cannot listen on {settings.host!r}: {error}"


def _take_files() -> int:
    """Take what the system lets a process have: most give 1,024 files to who does not ask."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):  # macOS has a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft
