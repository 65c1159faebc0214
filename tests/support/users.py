"""
Users: as whom tests log in to Redis.

The product's code runs as the roles of `ops.roles` on every server of the tests. A test looks, and
breaks things, as the administrator, whom the product does not know.
"""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio
import redis.exceptions
from redis import Redis

from ops import acl, acl_files, logins
from ops.roles import USERS, Role
from ops.settings import Settings
from support.client import Client

ADMIN = "admin"
#: A user of somebody else's: such a one stays in the file of the embedded server.
ADMIN_LINE = f"user {ADMIN} on nopass ~* &* +@all"

#: What kombu's clients ask for, and do without; Redis 7.0 does not know it.
NOT_NEEDED = "client|setinfo"


def add_admin(settings: Settings) -> None:
    """Let the administrator into an embedded server, from its next start on."""
    path = settings.redis_folder / "users.acl"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(f"{ADMIN_LINE}\n")


def admin(redis_url: str) -> Redis:
    """Connect as the administrator."""
    return Redis.from_url(redis_url, username=ADMIN, password="any")


def write(folder: Path) -> Path:
    """Write users and logins for a server of an operator's own; return what the server reads."""
    made = acl_files.new_logins()
    lines = [*acl.render(made.passwords, default=acl.NO_DEFAULT), ADMIN_LINE]
    acl_files.write(folder / "users.acl", "\n".join(lines) + "\n")
    acl_files.write(folder / "users.json", logins.dump(made))
    return folder / "users.acl"


def refusals(redis_url: str) -> list[str]:
    """List what a server that is there has refused our users: nothing that they need."""
    try:
        with admin(redis_url) as client:
            log: Any = client.acl_log()
    except redis.exceptions.RedisError:
        return []  # the test has taken it away
    return [
        f"{one['username']}: {one['reason']} {one['object']}"
        for one in log
        if one["username"].startswith(USERS) and one["object"] != NOT_NEEDED
    ]


def known(redis_url: str | None) -> Path | None:
    """Find the logins for a server: they lie beside its socket."""
    path = Path(urlsplit(redis_url).path).parent / "users.json" if redis_url else None
    return path if path and path.exists() else None


def variables(redis_url: str | None) -> dict[str, str]:
    """Name a server, and its logins, to a process."""
    path = known(redis_url)
    users = {"INVIGIL_REDIS_USERS": str(path)} if path else {}
    return {**users, "REDIS_URL": redis_url} if redis_url else users


def of(redis_url: str) -> Settings:
    """Make settings of a part that uses this server."""
    return Settings(redis_url=redis_url, redis_users=known(redis_url))


def as_gateway(redis_url: str) -> "redis.asyncio.Redis":
    """Be a gateway, in an event loop."""
    return logins.connect_async(of(redis_url), Role.GATEWAY)


def as_role(client: Client, role: Role) -> Client:
    """Connect as a role to the server that the administrator looks at."""
    return _connected(client.connection_pool.connection_kwargs["path"], role)


def as_dispatcher(client: Client) -> Client:
    """Be a dispatcher."""
    return as_role(client, Role.DISPATCHER)


def as_worker(client: Client) -> Client:
    """Be a worker."""
    return as_role(client, Role.WORKER)


@cache
def _connected(path: str, role: Role) -> Redis:
    return logins.connect(of(f"unix://{path}"), role)
