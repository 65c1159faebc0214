"""Preflight: what `up` checks before the first part starts, so that it fails in one line."""

import errno
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
import redis.exceptions

from ingest import certificate, keyring
from ops import lockfile, probe
from ops.connect import connect
from ops.log import is_console
from ops.logins import NoLogins
from ops.probe import Call
from ops.roles import PARTS, Role
from ops.settings import Settings

#: Seconds for an `up` that was killed to be gone, with its gateway.
GONE_LIMIT_S = 2.0
#: Exit codes: the world is not ready, or a setting is wrong.
NOT_NOW = 1
BAD_SETTINGS = 2
#: Commands that a line names, of those that are refused.
MOST_NAMED = 3
#: Bytes that must be free: logs, Redis' files and the folders of the exams begin with less.
ROOM = 1 << 18

STRICT = "INVIGIL_DURABILITY=strict"


class Refusal(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """Nothing can be started; the message is the line to show, with the exit code to end with."""

    def __init__(self, sentence: str, *, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def take_lock(settings: Settings) -> int:
    """
    Take the data folder for this process, and make it if it is missing.

    Returns:
        The descriptor of the lock; closing it gives the folder back.

    Raises:
        Refusal: When another `up` has it, or nobody can.
    """
    folder = settings.data
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "up.lock"
        lock = lockfile.take(path, folder=folder, owner='"up", ', wait_s=GONE_LIMIT_S)
    except lockfile.InUse as error:
        raise Refusal(str(error), code=NOT_NOW) from None
    except OSError as error:
        sentence = f"INVIGIL_DATA: cannot use {folder}: {error.strerror}"
        raise Refusal(sentence, code=BAD_SETTINGS) from None
    _sign(lock, folder)
    return lock


def _sign(lock: int, folder: Path) -> None:
    """See that the folder has room for the first files of all parts, and say who has it."""
    probe = folder / "up.probe"
    try:
        try:
            probe.write_bytes(bytes(ROOM))
        finally:
            probe.unlink(missing_ok=True)
        lockfile.sign(lock, pid=os.getpid())
    except OSError as error:
        os.close(lock)
        sentence = f"INVIGIL_DATA: cannot write in {folder}: {error.strerror}"
        raise Refusal(sentence, code=NOT_NOW) from None


def complete(settings: Settings) -> Settings:
    """
    Check what the parts will need, and fill in what was left open.

    Raises:
        Refusal: When the port is taken or ``REDIS_URL`` does not answer.
        BadSettings: Others can reach the gateway, and there is no key; or its certificate cannot
            be used.
    """
    keyring.require(settings)
    certificate.require(settings)
    if settings.port:
        _check_port(settings.host, settings.port)
    if not settings.is_embedded:
        _check_redis(settings)
    return settings.model_copy(
        update={
            "port": settings.port or free_port(settings.host),
            "log_format": "console" if is_console(settings) else "json",
        }
    )


def free_port(host: str) -> int:
    """Return a port that is free now."""
    with _bind(host, 0) as bound:
        port: int = bound.getsockname()[1]
        return port


def _check_redis(settings: Settings) -> None:
    """See that the server answers, and that each part may do there what it has to."""
    for role in PARTS:
        try:
            calls = probe.refused(settings, role, probe.needs(role))
        except (redis.exceptions.RedisError, OSError, TypeError) as error:
            raise _no_answer(settings, role, error) from None
        if calls:
            who = f"its user {role.user}" if settings.redis_logins else "its user"
            raise Refusal(
                f"REDIS_URL: {settings.shown()['REDIS_URL']} refuses {who} what the {role} needs: "
                f"{_listed(calls)}; make users that may, with: invigil acl create",
                code=BAD_SETTINGS,
            )
    if settings.durability == "strict":
        assert settings.redis_url
        with connect(settings.redis_url) as client:
            _check_durability(client)


def _no_answer(settings: Settings, role: Role, error: Exception) -> Refusal:
    """Tell a server that is away from one that lets nobody in."""
    shown = settings.shown()["REDIS_URL"]
    if isinstance(error, NoLogins):
        return Refusal(f"INVIGIL_REDIS_USERS: {error}", code=BAD_SETTINGS)
    if isinstance(error, redis.exceptions.AuthenticationError):
        who = f"user {role.user}" if settings.redis_logins else "the user in it"
        return Refusal(
            f"REDIS_URL: {shown} does not let in {who}: {error}; make users with: "
            "invigil acl create",
            code=BAD_SETTINGS,
        )
    return Refusal(f"REDIS_URL: {shown} does not answer: {error}", code=NOT_NOW)


def _listed(calls: Sequence[Call]) -> str:
    named = ", ".join(map(str, calls[:MOST_NAMED]))
    return f"{named} and {len(calls) - MOST_NAMED} more" if len(calls) > MOST_NAMED else named


def _check_durability(client: redis.Redis) -> None:
    """Ask a server of somebody else's whether it keeps what `strict` promises."""
    wanted = {"appendonly": "yes", "appendfsync": "always"}
    try:
        answer: Any = client.config_get(*wanted)
    except redis.exceptions.RedisError as error:
        sentence = f"{STRICT}: cannot be checked, CONFIG GET is refused: {error}"
        raise Refusal(sentence, code=BAD_SETTINGS) from None
    seen = {_text(name): _text(value) for name, value in answer.items()}
    if seen != wanted:
        found = ", ".join(f"{name} {seen.get(name, 'unknown')}" for name in wanted)
        sentence = f"{STRICT}: needs appendonly yes, appendfsync always; REDIS_URL has {found}"
        raise Refusal(sentence, code=BAD_SETTINGS)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _check_port(host: str, port: int) -> None:
    deadline = time.monotonic() + GONE_LIMIT_S
    while True:
        try:
            return _bind(host, port).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                name = "INVIGIL_HOST" if error.errno == errno.EADDRNOTAVAIL else "INVIGIL_PORT"
                why = os.strerror(error.errno or 0)
                sentence = f"{name}: cannot listen on {host}:{port}: {why}"
                raise Refusal(sentence, code=BAD_SETTINGS) from None
        time.sleep(lockfile.POLL_S)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except (socket.gaierror, UnicodeError) as error:  # a name that no name server can be asked for
        sentence = f"INVIGIL_HOST: {host!r} is no address: {getattr(error, 'strerror', error)}"
        raise Refusal(sentence, code=BAD_SETTINGS) from None
    return socket.create_server((host, port), family=family)
