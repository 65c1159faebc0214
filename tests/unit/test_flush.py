"""Flushing a whole file system: where it is safe, and that neighbours' data does not hold us up."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from filestore import flush
from filestore.flush import Flush, kind_of

TABLE = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 22 0:26 / /var/lib/docker/overlay2/x rw - overlay overlay rw,lowerdir=/a\\040-\\040b
31 22 8:17 /data /srv/a\\040b rw shared:5 master:1 - xfs /dev/sdb1 rw
"""


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Let no test know what another has found."""
    flush._is_safe.cache_clear()
    yield
    flush._is_safe.cache_clear()


@pytest.mark.parametrize(
    ("device", "kind"),
    [((254, 0), "ext4"), ((0, 26), "overlay"), ((8, 17), "xfs"), ((8, 1), None), ((4, 0), None)],
)
def test_kind(tmp_path: Path, device: tuple[int, int], kind: str | None) -> None:
    """The kernel's table says what is on a device."""
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)

    assert kind_of(os.makedev(*device), table) == kind


def test_no_table(tmp_path: Path) -> None:
    """Without one nobody knows."""
    assert kind_of(os.makedev(254, 0), tmp_path / "none") is None


@pytest.mark.skipif(sys.platform != "linux", reason="syncfs(2) is of Linux")
@pytest.mark.parametrize(
    ("release", "kind", "is_wise"),
    [
        ("6.1.0-13-amd64", "ext4", True),
        ("5.17.0", "xfs", True),
        ("5.15.0-200-generic", "ext4", False),
        ("4.19.0", "ext4", False),
        ("unknown", "ext4", False),
        ("6.1.0", "nfs4", False),
        ("6.1.0", "overlay", False),
        ("6.1.0", None, False),
    ],
)
def test_where_it_is_safe(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    release: str,
    kind: str | None,
    is_wise: bool,
) -> None:
    """Only where errors are told, of file systems that are known to do as they say."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release=release))
    monkeypatch.setattr(flush, "kind_of", lambda *_: kind)

    assert Flush().is_wise(tmp_path) is is_wise


@pytest.mark.skipif(sys.platform != "linux", reason="syncfs(2) is of Linux")
def test_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that took long is the last one for a while; the wait grows with what was lost."""
    now = 1_000.0
    took = 0.0

    def clock() -> float:
        nonlocal now
        now += took
        return now

    monkeypatch.setattr(flush, "_is_safe", lambda _: True)
    monkeypatch.setattr(flush, "monotonic", clock)
    one = Flush()
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    for lasts, pause in ((0.0, 0.0), (0.4, 0.0), (1.0, 50.0), (5.0, 250.0)):
        took = lasts
        one.flush(descriptor)
        took = 0.0
        assert one.is_wise(tmp_path) is (pause == 0)
        now += max(0.0, pause - 0.1)
        assert one.is_wise(tmp_path) is (pause == 0)
        now += 0.2
        assert one.is_wise(tmp_path)
    os.close(descriptor)


@pytest.mark.skipif(sys.platform != "linux", reason="syncfs(2) is of Linux")
def test_error(tmp_path: Path) -> None:
    """What the kernel says is raised."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    os.close(descriptor)

    with pytest.raises(OSError, match="Bad file descriptor"):
        Flush().flush(descriptor)
