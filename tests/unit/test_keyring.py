"""The file of keys: read when it changes, refused when it is not as it was left."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.waiting import wait_until

from ingest import keyring
from ingest.access import Keys, Scope, new_key
from ingest.keyring import Keyring, KeysAway, changing, read, require
from ops import outage
from ops.settings import BadSettings, Settings

EMPTY = b'{"keys": []}'


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at each call, and know nothing of what other tests saw."""
    monkeypatch.setattr(keyring, "BELIEVED_S", 0.0)
    outage.KEYS.forget()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the keys lie."""
    return keyring.file_of(tmp_path)


def add(path: Path) -> str:
    """Make a key; return its id."""
    key, _ = new_key("room", Scope.READ, now_ms=0)
    with changing(path) as keys:
        keys[key.id] = key
    return key.id


def seen_by(ring: Keyring) -> Keys:
    """Ask for the keys, in a loop of its own."""
    return asyncio.run(ring.keys())


def test_no_file(path: Path) -> None:
    """Where nobody made a key there is none."""
    assert {} == read(path) == seen_by(Keyring(path))


def test_an_empty_list_from_the_beginning(path: Path) -> None:
    """A list in which there never was a key is as good as none."""
    path.write_bytes(EMPTY)
    path.chmod(0o600)

    assert {} == read(path) == seen_by(Keyring(path))


def test_changes_are_seen(path: Path) -> None:
    """A gateway that runs sees each change of the file."""
    ring = Keyring(path)
    first = add(path)
    assert [first] == list(seen_by(ring))
    second = add(path)
    assert [first, second] == list(seen_by(ring))


def test_only_its_owner(path: Path) -> None:
    """The file is its owner's, whatever was left in its place while it was written."""
    path.with_suffix(".tmp").touch(0o666)
    add(path)

    assert 0o600 == path.stat().st_mode & 0o777


def test_open_to_others(path: Path) -> None:
    """A file that others may read or write is not believed; the message says what to do."""
    ring = Keyring(path)
    add(path)
    assert seen_by(ring)
    for mode in (0o640, 0o604, 0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(KeysAway, match=f"chmod 600 {path}"):
            seen_by(ring)
    path.chmod(0o600)
    assert seen_by(ring)


def test_somebody_elses(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another user, who could add keys, is not believed, and not changed."""
    ring = Keyring(path)
    add(path)
    assert seen_by(ring)
    if os.geteuid() == 0:
        os.chown(path, 65_534, 65_534)
    else:  # who is not root has no files of others: be another one
        monkeypatch.setattr(os, "geteuid", lambda: 65_534)

    with pytest.raises(KeysAway, match=f"belongs to user.*chown .* {path}"):
        seen_by(ring)
    with pytest.raises(KeysAway), changing(path):
        pytest.fail("it was read")


LOSSES = {
    "gone": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "no key in it": lambda path: path.write_bytes(EMPTY),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "not UTF-8": lambda path: path.write_bytes(b"\xff"),
    "another list": lambda path: path.write_bytes(b'{"keys": [1]}'),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_lost(path: Path, loss: str) -> None:
    """
    Keys that were there and are lost open nothing: not to who has seen them, not to who starts.

    Nobody writes over what is left, and the message says how to go on.
    """
    add(path)
    ring = Keyring(path)
    seen_by(ring)
    LOSSES[loss](path)
    left = path.read_bytes() if path.exists() else None

    for ask in (ring, Keyring(path)):
        with pytest.raises(KeysAway, match=str(path)):
            seen_by(ask)
    with pytest.raises(KeysAway, match=f"put back a copy; or.* remove {path} and .*keys.lock"):
        read(path)
    with pytest.raises(BadSettings, match="INVIGIL_DATA"):
        require(Settings(data=path.parent))
    with pytest.raises(KeysAway), changing(path):
        pytest.fail("it was read")
    assert left == (path.read_bytes() if path.exists() else None)


def test_begun_anew(path: Path) -> None:
    """Who removes both files, as the message says, begins anew."""
    add(path)
    path.unlink()
    path.with_suffix(".lock").unlink()

    assert {} == seen_by(Keyring(path))
    assert [add(path)] == list(seen_by(Keyring(path)))


def test_a_copy(path: Path) -> None:
    """A file that was copied here without its lock is one that was there, once it was seen."""
    add(path)
    path.with_suffix(".lock").unlink()
    seen_by(Keyring(path))
    path.unlink()

    with pytest.raises(KeysAway, match="keys have been made"):
        seen_by(Keyring(path))


async def test_it_hangs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that does not answer holds up no loop, and lets nobody in; later all is well again."""
    monkeypatch.setattr(keyring, "PATIENCE_S", 0.2)
    known = add(path)
    ring = Keyring(path)
    assert [known] == list(await ring.keys())
    aside = path.with_suffix(".aside")
    await asyncio.to_thread(path.rename, aside)
    os.mkfifo(path, 0o600)  # to open it waits until somebody writes
    with capture_logs() as lines:
        for _ in range(3):
            with pytest.raises(KeysAway, match="it hangs"):
                await ring.keys()

        writer = await asyncio.to_thread(os.open, path, os.O_WRONLY)
        await asyncio.to_thread(aside.rename, path)
        os.close(writer)
        async with asyncio.timeout(30):
            while [known] != await known_to(ring):
                pass  # each call looks, in a thread
    assert ["unavailable", "available"] == [line["event"] for line in lines]


async def test_many_ask_at_once(path: Path) -> None:
    """Looks that end while others begin are none that hang: it was said of one in 50."""
    known = add(path)
    ring = Keyring(path)

    async def ask() -> set[str]:
        return {key for _ in range(50) for key in await ring.keys()}

    assert [{known}] * 20 == await asyncio.gather(*(ask() for _ in range(20)))


async def test_a_busy_loop(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that hears of a look too late does not take it for one that hangs: it was said so."""
    known = add(path)
    ring = Keyring(path)
    monkeypatch.setattr(keyring, "PATIENCE_S", 0.05)
    asking = [asyncio.create_task(ring.keys()) for _ in range(3)]
    await asyncio.sleep(0)  # they have begun
    with capture_logs() as lines:
        wait_until(lambda: not ring._is_looking, saying="the thread has looked")
        until = time.monotonic() + keyring.PATIENCE_S
        wait_until(lambda: time.monotonic() > until, saying="nobody is patient any more")

        assert [[known]] * 3 == [list(one) for one in await asyncio.gather(*asking)]
    assert [] == lines


async def known_to(ring: Keyring) -> list[str]:
    """List the keys that it gives; none while it does not."""
    try:
        return list(await ring.keys())
    except KeysAway:
        return []


def test_an_error_changes_nothing(path: Path) -> None:
    """Who fails while the list is in hand leaves it as it was."""
    add(path)
    before = path.read_bytes()

    def clear_and_fail() -> None:
        with changing(path) as keys:
            keys.clear()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        clear_and_fail()
    assert before == path.read_bytes()
    assert ["keys.json", "keys.lock"] == sorted(one.name for one in path.parent.iterdir())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "exams.example"])
def test_others_need_a_key(tmp_path: Path, host: str) -> None:
    """A gateway that others can reach needs a key before it starts, and says how to make one."""
    settings = Settings(data=tmp_path, host=host)
    with pytest.raises(BadSettings, match=r"INVIGIL_HOST.*invigil keys create"):
        require(settings)
    add(keyring.file_of(tmp_path))
    require(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_needs_none(tmp_path: Path, host: str) -> None:
    """What only this machine can reach starts without."""
    require(Settings(data=tmp_path, host=host))
