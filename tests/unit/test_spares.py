"""Spares: files that change their names instead of being removed and made."""

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from filestore import linux, spares
from filestore.spares import GRACE_S, Spares


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still."""
    clock = [1_000.0]
    monkeypatch.setattr(spares, "monotonic", lambda: clock[0])
    return clock


def some(folder: Path, *, boot: str = "b") -> Spares:
    """Make one that is ready."""
    made = Spares(folder / ".spare", boot=boot)
    made.prepare()
    return made


def lay(path: Path, text: str = "old") -> Path:
    """Put a file there."""
    path.write_text(text)
    path.chmod(0o640)
    return path


def test_given_is_taken(tmp_path: Path, now: list[float]) -> None:
    """A file that was given comes back, the same one, once nobody reads it any more."""
    own = some(tmp_path)
    one = lay(tmp_path / "one")
    inode = one.stat().st_ino
    with one.open() as reader:
        own.give(one)
        assert not one.exists()
        assert not own.take(tmp_path / "two")
        assert reader.read() == "old"

    now[0] += GRACE_S
    assert own.take(tmp_path / "two")
    assert inode == (tmp_path / "two").stat().st_ino
    assert not own.take(tmp_path / "three")


def test_second_name(tmp_path: Path, now: list[float]) -> None:
    """A file that has another name, as in a backup of hard links, is left as it is."""
    own = some(tmp_path)
    own.give(lay(tmp_path / "one"))
    own.give(lay(tmp_path / "later", "later"))
    kept = tmp_path / "kept"
    [one] = [one for one in (tmp_path / ".spare").iterdir() if one.read_text() == "old"]
    kept.hardlink_to(one)
    now[0] += GRACE_S

    assert own.take(tmp_path / "two")

    assert ("old", "later") == (kept.read_text(), (tmp_path / "two").read_text())


def test_nothing_to_give(tmp_path: Path, now: list[float]) -> None:
    """Who gives what is not there has given nothing."""
    own = some(tmp_path)
    own.give(tmp_path / "none")

    now[0] += GRACE_S
    assert not own.take(tmp_path / "two")


def test_without_a_folder(tmp_path: Path) -> None:
    """Where somebody has removed the folder, files are removed as ever."""
    own = Spares(tmp_path / ".spare", boot="b")
    own.give(one := lay(tmp_path / "one"))

    assert not one.exists()


def test_of_others(tmp_path: Path, now: list[float]) -> None:
    """What a process has left that has ended is found; each is taken once."""
    for number in range(3):
        some(tmp_path).give(lay(tmp_path / f"{number}"))
    now[0] += GRACE_S
    first, second = some(tmp_path), some(tmp_path)

    taken = [one.take(tmp_path / f"new-{number}") for number, one in enumerate([first, second] * 3)]

    assert sum(taken) == 3
    assert len(list(tmp_path.glob("new-*"))) == 3


def test_another_boot(tmp_path: Path, now: list[float]) -> None:
    """A name of before a power cut may be a document's second one: it goes, and is not taken."""
    some(tmp_path, boot="before").give(lay(tmp_path / "one"))
    lay(tmp_path / ".spare/b.x.y")
    now[0] += GRACE_S
    unprepared = Spares(tmp_path / ".spare", boot="b")
    assert not unprepared.take(tmp_path / "two")

    some(tmp_path)

    assert [] == list((tmp_path / ".spare").iterdir())


def test_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end to what is kept."""
    monkeypatch.setattr(spares, "MOST", 3)
    own = some(tmp_path)
    for number in range(5):
        own.give(lay(tmp_path / f"{number}"))

    assert len(list((tmp_path / ".spare").iterdir())) == 3
    assert [] == [path for path in tmp_path.iterdir() if path.is_file()]


def test_cannot_be_kept(tmp_path: Path) -> None:
    """Where it cannot be kept, for whatever reason, it is removed as ever."""
    own = some(tmp_path)
    lay(tmp_path / "one")
    with patch.object(os, "rename", side_effect=OSError(errno.EACCES, "not yours")):
        own.give(tmp_path / "one")

    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize("odd", ["link", "folder", "mode", "owner", "pipe"])
def test_odd(tmp_path: Path, now: list[float], monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    """What is no file of ours, readable for whom we make them, is not taken, and hurts nobody."""
    own = some(tmp_path)
    one, two = tmp_path / "one", tmp_path / "two"
    match odd:
        case "link":
            one.symlink_to(lay(tmp_path / "target"))
        case "folder":
            one.mkdir()
        case "mode":
            lay(one).chmod(0o666)
        case "owner":
            lay(one)
        case "pipe":
            os.mkfifo(one)
    own.give(one)
    own.give(lay(tmp_path / "plain", "plain"))
    if odd == "owner":
        plain = next(p for p in (tmp_path / ".spare").iterdir() if p.read_text() == "plain")
        seen = os.lstat
        monkeypatch.setattr(
            os,
            "lstat",
            lambda path: seen(path) if str(path) in {str(plain), str(two)} else _of_another(path),
        )
    now[0] += GRACE_S

    assert own.take(two)
    assert two.read_text() == "plain"
    assert not own.take(tmp_path / "three")


def _of_another(path: str) -> SimpleNamespace:
    seen = Path(path).stat()
    return SimpleNamespace(st_mode=seen.st_mode, st_uid=seen.st_uid + 1, st_nlink=1)


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2(2) is of Linux")
def test_exchange(tmp_path: Path) -> None:
    """Two files swap their names; without the other one, nothing happens, and that is said."""
    one, other = lay(tmp_path / "one", "1"), lay(tmp_path / "other", "2")

    assert linux.exchange(one, other)
    assert ("2", "1") == (one.read_text(), other.read_text())
    with pytest.raises(FileNotFoundError):
        linux.exchange(one, tmp_path / "none")
    with patch.object(linux, "library", lambda: None):
        assert not linux.exchange(one, other)
