"""The file store, struck once and tried again: what was acknowledged then survives a power cut."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from support.crash_points import Death, DiedError, Disk, Fault, calls_through, count_calls

from filestore import store as store_module
from filestore.document import Damaged
from filestore.durable import sync_folder
from filestore.exam import Exam, transition
from filestore.fact import Fact, Status, Type
from filestore.index import Index
from filestore.store import Store

PK = "a"
#: Of the calls in a row that make one shard after another, so many at each end are struck.
ENDS = 2
Blow = Death | Fault


def fact(kind: Type, value: int | str, at_ms: int) -> Fact:
    """Make a fact of exam a."""
    entry = f"{at_ms}-0"
    return Fact(at_ms=at_ms, entry=entry, command=entry, source=None, type=kind, value=value)


START = fact(Type.START, 5, 1_000)
PASS = fact(Type.FINISH, "pass", 2_000)
EXPIRE = fact(Type.EXPIRE, 6_000, 6_001)
#: It came in before the other start, and was read after it: the exam is open again.
EARLIER_START = fact(Type.START, 60, 500)
#: What was applied before, and what is applied under fire.
STORIES: dict[str, tuple[list[Fact], list[Fact]]] = {
    "start": ([], [START]),
    "result": ([START], [PASS]),
    "start again": ([START, EXPIRE], [EARLIER_START]),
}


@pytest.fixture(autouse=True)
def _no_filling(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Keep a new index from being filled: its thread would be struck in the place of the writer.

    Where nobody has prepared the store, the first row makes it. `test_index.py` fills it.
    """
    monkeypatch.setattr(Index, "_start", lambda _self, **_: None)


def apply(store: Store, facts: list[Fact]) -> None:
    """Do what a worker does with the store before it acknowledges."""
    with store.lock(PK):
        outcome = transition(PK, store.load(PK), facts)
        assert outcome.exam
        if outcome.new:
            store.save(outcome.exam)
        else:
            store.sync(PK)


def lay_nothing(store: Store) -> None:
    """Leave a store that nobody has prepared."""


def lay_folders(store: Store) -> None:
    """Make the folders that are needed, as `prepare` does, on the disk."""
    shard = store.path(PK).parent
    for folder in (shard.parent, shard.parent / ".open", shard.parent / ".tmp", shard):
        folder.mkdir(exist_ok=True)


def lay_no_shard(store: Store) -> None:
    """Make the folders; somebody has tidied up the empty ones since."""
    lay_folders(store)
    store.path(PK).parent.rmdir()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A transition on a disk that is laid anew for each try."""

    base: Path
    lay: Callable[[Store], None]
    story: str

    def store(self, name: str = "now") -> Store:
        """Name the store below a folder of the scene."""
        return Store(self.base / name / "exams")

    def fresh(self, name: str = "now", *, has_exam: bool = True) -> Store:
        """Lay the disk as it is before the transition."""
        shutil.rmtree(self.base / name, ignore_errors=True)
        (self.base / name).mkdir(parents=True)
        store = self.store(name)
        self.lay(store)
        if has_exam and (before := STORIES[self.story][0]):
            apply(store, before)
        return store

    def act(self) -> None:
        """Make the transition."""
        apply(self.store(), STORIES[self.story][1])

    def exams(self) -> tuple[Exam | None, Exam]:
        """Say what the exam is before the transition, and after it."""
        before, facts = STORIES[self.story]
        old = transition(PK, None, before).exam
        new = transition(PK, old, facts).exam
        assert new
        assert new != old
        return old, new

    def disk(self) -> Disk:
        """Watch the disk. The shards of other exams are not looked at: they are made alike."""
        shard = self.store().path(PK).parent
        others = {shard.parent / f"{number:02x}" for number in range(256)} - {shard}
        return Disk(self.base / "now", ignored=others)

    def blows(self) -> Iterator[Blow]:
        """
        Strike each call: death before it, or an error before or after its effect.

        Where nothing is, only until the folders are made: from the lock on, all is as elsewhere.
        """
        self.fresh()
        calls = count_calls(self.act)
        if self.lay is lay_nothing:
            calls = calls[: calls.index("lock") + 1]
        for at, name in enumerate(calls):
            if not is_amid(calls, at):
                yield Death(at=at)
                yield Fault(at=at, kind="EIO")
                if name != "open":
                    yield Fault(at=at, kind="EIO after")


def is_amid(calls: Sequence[str], at: int) -> bool:
    """Whether a call is one of many in a row that make folders, and not near either end."""
    around = calls[max(0, at - ENDS) : at + ENDS + 1]
    return len(around) == 2 * ENDS + 1 and set(around) == {"mkdir"}


def strike(scene: Scene, blow: Blow, disk: Disk) -> bool:
    """Make the transition under a blow; say whether it came to its end."""

    def wrap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        return blow.wrap(name, disk.wrap(name, call))

    with suppress(OSError, DiedError), calls_through(wrap):
        scene.act()
        return True
    return False


Tree = dict[Path, bytes | None]
Seen = set[frozenset[tuple[str, bytes | None]]]


def check_trees(scene: Scene, disk: Disk, *, may_be: Sequence[Exam | None], seen: Seen) -> None:
    """See that after a power cut now there is one of *may_be*, listed when open, and it goes on."""
    for tree in disk.trees():
        known = frozenset((str(path), text) for path, text in tree.items())
        if known not in seen:
            seen.add(known)
            check_tree(scene, tree, may_be=may_be)


def check_tree(scene: Scene, tree: Tree, *, may_be: Sequence[Exam | None]) -> None:
    """Lay what a power cut has left, and look at it as who comes next does."""
    store = scene.fresh("cut", has_exam=False)
    for path, text in tree.items():
        place = scene.base / "cut" / path.relative_to(scene.base / "now")
        if text is None:
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(text)
    exam = store.load(PK)
    assert exam in may_be
    if exam and exam.standing.status is Status.STARTED:
        assert [PK] == list(store.open_exams())
    apply(store, STORIES[scene.story][1])
    assert scene.exams()[1] == store.load(PK)


def second_tries(scene: Scene) -> int:
    """Strike each call, try again, and cut the power; return how many blows there were."""
    struck = list(scene.blows())
    old, new = scene.exams()
    seen_on_the_way: Seen = set()
    seen_at_the_end: Seen = set()
    for blow in struck:
        scene.fresh()
        disk = scene.disk()
        has_ended = strike(scene, blow, disk)
        check_trees(scene, disk, may_be=[new] if has_ended else [old, new], seen=seen_on_the_way)
        if not has_ended:
            with calls_through(disk.wrap):
                scene.act()
        check_trees(scene, disk, may_be=[new], seen=seen_at_the_end)
    return len(struck)


@pytest.mark.parametrize(
    ("lay", "story"),
    [
        *((lay_folders, story) for story in STORIES),
        (lay_no_shard, "start"),
        (lay_nothing, "start"),
    ],
)
def test_second_try(tmp_path: Path, lay: Callable[[Store], None], story: str) -> None:
    """After a blow, and a second try that returned, every power cut leaves the new document."""
    assert second_tries(Scene(base=tmp_path, lay=lay, story=story)) > 30


def _sync_nothing(self: Store, pk: str) -> None:
    """Trust whoever wrote it."""


def _make_unsynced(self: Store) -> None:
    with patch.object(store_module, "sync_folder"):
        _MAKE(self)


def _make_marker_first(self: Store) -> None:
    self._tmp.mkdir(parents=True, exist_ok=True)
    _MAKE(self)


def _make_root_unsynced(self: Store) -> None:
    def sync(folder: Path) -> None:
        if folder == self._root:
            sync_folder(folder)

    with patch.object(store_module, "sync_folder", sync):
        _MAKE(self)


def _make_shard_once(self: Store, folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir()
        sync_folder(self._root)


_MAKE = Store._make_folders
#: What is broken, on which disk, and in which story it must be seen.
MUTANTS: dict[str, tuple[str, object, Callable[[Store], None], str]] = {
    "redelivery not synced": ("sync", _sync_nothing, lay_folders, "result"),
    "folders not synced": ("_make_folders", _make_unsynced, lay_nothing, "start"),
    "name of the root not synced": ("_make_folders", _make_root_unsynced, lay_nothing, "start"),
    "folders taken for made too early": ("_make_folders", _make_marker_first, lay_nothing, "start"),
    "shard that another made not synced": ("_make_shard", _make_shard_once, lay_no_shard, "start"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_teeth(tmp_path: Path, mutant: str) -> None:
    """Each of these rules, once broken, is missed."""
    name, broken, lay, story = MUTANTS[mutant]

    with patch.object(Store, name, broken), pytest.raises((AssertionError, Damaged, OSError)):
        second_tries(Scene(base=tmp_path, lay=lay, story=story))
