"""The file of keys: read when it changes, refused when it is not as it was left."""

from pathlib import Path

import pytest

from ingest import keyring
from ingest.access import Scope, new_key
from ingest.keyring import Keyring, KeysAway, changing, read, require
from ops.settings import BadSettings, Settings


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at each call."""
    monkeypatch.setattr(keyring, "LOOK_EVERY_S", 0.0)


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


def test_no_file(path: Path) -> None:
    """Where nobody made a key there is none."""
    assert {} == read(path) == Keyring(path).keys()


def test_changes_are_seen(path: Path) -> None:
    """A gateway that runs sees each change of the file."""
    ring = Keyring(path)
    first = add(path)
    assert [first] == list(ring.keys())
    second = add(path)
    assert [first, second] == list(ring.keys())


def test_only_its_owner(path: Path) -> None:
    """The file is its owner's, whatever was left in its place while it was written."""
    path.with_suffix(".tmp").touch(0o666)
    add(path)

    assert 0o600 == path.stat().st_mode & 0o777


def test_open_to_others(path: Path) -> None:
    """A file that others may read or write is not believed; the message says what to do."""
    ring = Keyring(path)
    add(path)
    assert ring.keys()
    for mode in (0o640, 0o604, 0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(KeysAway, match=f"chmod 600 {path}"):
            ring.keys()
    path.chmod(0o600)
    assert ring.keys()


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"keys": [1]}'])
def test_damaged(path: Path, text: bytes) -> None:
    """A damaged file opens nothing, and nobody writes over it."""
    add(path)
    ring = Keyring(path)
    ring.keys()
    path.write_bytes(text)

    with pytest.raises(KeysAway, match=str(path)):
        ring.keys()
    with pytest.raises(KeysAway), changing(path):
        pytest.fail("it was read")
    assert text == path.read_bytes()


def test_gone(path: Path) -> None:
    """A file that is gone does not open a gateway that has seen it."""
    add(path)
    ring = Keyring(path)
    ring.keys()
    path.unlink()

    with pytest.raises(KeysAway, match="gone"):
        ring.keys()


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
