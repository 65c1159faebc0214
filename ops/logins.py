"""
Logins: as whom a part logs in to Redis.

The passwords lie in one file, and are read from there at each new connection: none of them stands
in a URL, in an environment or in a process' arguments, and a file that is replaced counts from the
next connection on.
"""

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis.asyncio
import redis.exceptions
from redis.credentials import CredentialProvider

from ops import connect as plain
from ops import owned
from ops.roles import Role
from ops.settings import Settings


class NoLogins(redis.exceptions.AuthenticationError):
    """The file of logins cannot be used; the message names it. For who connects, Redis is away."""


@dataclass(frozen=True, slots=True)
class Logins:
    """
    What the file holds.

    Attributes:
        passwords: Of each role.
        rules: `ops.acl.fingerprint` of the rules that the server was given with them.
    """

    passwords: Mapping[Role, str] = field(repr=False)
    rules: str


class Login(CredentialProvider):
    """One role's name and password, for redis-py and for kombu."""

    def __init__(self, path: Path, role: Role) -> None:
        self._path = path
        self._role = role

    def get_credentials(self) -> tuple[str, str]:
        """
        Read them anew.

        Raises:
            NoLogins: The file cannot be used.
        """
        return self._role.user, read(self._path).passwords[self._role]

    async def get_credentials_async(self) -> tuple[str, str]:
        """Read them anew: a file of some hundred bytes."""
        return self.get_credentials()


def of(settings: Settings, role: Role) -> Login | None:
    """Find a role's login; None when ``REDIS_URL`` says all that there is."""
    return Login(settings.redis_logins, role) if settings.redis_logins else None


def connect(settings: Settings, role: Role, *, name: str | None = None) -> "redis.Redis":
    """Make a client for a role, as `ops.connect` does."""
    return plain.connect(settings.redis, login=of(settings, role), name=name)


def connect_async(settings: Settings, role: Role) -> "redis.asyncio.Redis":
    """Make a client for a role in an event loop, as `ops.connect` does."""
    return plain.connect_async(settings.redis, login=of(settings, role))


def read(path: Path) -> Logins:
    """
    Read the file.

    Raises:
        NoLogins: It cannot be read, is open to others than its owner, or is incomplete.
    """
    try:
        with path.open("rb") as file:
            mode, text = stat.S_IMODE(os.fstat(file.fileno()).st_mode), file.read()
    except OSError as error:
        raise NoLogins(f"{path} cannot be read: {error.strerror}") from None
    if said := owned.complaint(path, mode):
        raise NoLogins(said)
    try:
        found = json.loads(text)
        passwords = {role: _text(found["passwords"][role.value]) for role in Role}
        return Logins(passwords, _text(found["rules"]))
    except (ValueError, KeyError, TypeError):  # its own words may hold a piece of a password
        sentence = f"{path} has no password for each role; make it anew: invigil acl create"
        raise NoLogins(sentence) from None


def dump(logins: Logins) -> str:
    """Write the file's text."""
    named = {role.value: password for role, password in logins.passwords.items()}
    return json.dumps({"rules": logins.rules, "passwords": named}, indent=1) + "\n"


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value
