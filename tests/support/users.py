"""
Users: as whom tests log in to Redis.

The product's code runs as the roles that `ops.roles` gives it, on every server of the tests. A test
looks and breaks as the administrator, whom the product does not know.
"""

from pathlib import Path
from urllib.parse import urlsplit

from ops import acl, acl_files, logins
from ops.connect import connect
from ops.logins import Login
from ops.roles import Role
from ops.settings import Settings
from redis import Redis

ADMIN = "admin"
#: A user of somebody else's: it stays in the file of the embedded server.
ADMIN_LINE = f"user {ADMIN} on nopass ~* &* +@all"


def add_admin(settings: Settings) -> None:
    """Let the administrator into an embedded server that is not started yet."""
    path = settings.redis_folder / "users.acl"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(f"{ADMIN_LINE}\n")


def admin(settings: Settings) -> Redis:
    """Connect as the administrator."""
    return Redis.from_url(settings.redis, username=ADMIN, password="any")


def write(folder: Path) -> Path:
    """Write the rules of a server that is not embedded, where `known` finds the logins."""
    made = acl_files.new_logins()
    lines = [*acl.render(made.passwords, default=acl.NO_DEFAULT), ADMIN_LINE]
    acl_files.write(folder / "users.acl", "\n".join(lines) + "\n")
    acl_files.write(folder / "users.json", logins.dump(made))
    return folder / "users.acl"


def known(redis_url: str) -> Path | None:
    """Find the logins for a server: they lie beside its socket."""
    path = Path(urlsplit(redis_url).path).with_name("users.json")
    return path if redis_url.startswith("unix:") and path.exists() else None


def at(redis_url: str) -> Settings:
    """Settings of a part that uses this server."""
    return Settings(redis_url=redis_url, redis_users=known(redis_url))


def connected(settings: Settings, role: Role, *, name: str | None = None) -> Redis:
    """Connect as a role."""
    return connect(settings.redis, login=logins.of(settings, role), name=name)


def login(settings: Settings, role: Role) -> Login | None:
    """Log in as a role; for clients that are made otherwise."""
    return logins.of(settings, role)
