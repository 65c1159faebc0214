"""The file store under fire: every call fails, every call is the last one, and the power goes."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any
from unittest.mock import patch

import pytest
from support.crash_points import (
    FAILED,
    KINDS,
    LEAKED,
    RETURNED,
    Disk,
    calls_through,
    count_calls,
    faults,
    in_a_process,
)
from support.documents import to_document
from support.waiting import wait_until

from filestore import durable, spares, store
from filestore.document import Damaged
from filestore.exam import Exam, transition
from filestore.fact import Fact, Status, Type
from filestore.flush import Flush
from filestore.index import Index
from filestore.row import row_of
from filestore.spares import Spares
from filestore.store import Store

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # other tests' threads, at the fork
]

PK = "a"
#: How the store puts files on the disk: each by itself, as one; or all by a flush, as many.
#: Then with the files of old documents, which are there at once rather than minutes later.
every_way = pytest.mark.parametrize("way", ["synced", "flushed", "spared"], indirect=True)
#: Seconds for which a slow disk is waited for.
WAIT_S = 30


@pytest.fixture(autouse=True)
def _rows_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave it at the note: the rows are written when the list is asked for, without faults."""
    monkeypatch.setattr(Index, "note", lambda self, *pks: self._backlog.add(*pks))


def fact(kind: Type, value: int | str, at_ms: int) -> Fact:
    """Make a fact of exam a."""
    entry = f"{at_ms}-0"
    return Fact(at_ms=at_ms, entry=entry, command=entry, source=None, type=kind, value=value)


START = fact(Type.START, 5, 1_000)
PASS = fact(Type.FINISH, "pass", 2_000)
LATE = fact(Type.FINISH, "fail", 9_000)
EXPIRE = fact(Type.EXPIRE, 6_000, 6_001)
#: What was applied before, and what is applied under fire.
STORIES: dict[str, tuple[list[Fact], list[Fact]]] = {
    "start": ([], [START]),
    "start and result": ([], [START, PASS]),
    "result": ([START], [PASS]),
    "absence": ([START], [EXPIRE]),
    "late result": ([START, EXPIRE], [LATE]),
    "correction": ([START, EXPIRE], [PASS]),
}
every_story = pytest.mark.parametrize("story", STORIES)


def apply(store: Store, facts: list[Fact]) -> None:
    """Do what a worker does with the store."""
    with store.lock(PK):
        outcome = transition(PK, store.load(PK), facts)
        assert outcome.exam
        if outcome.new:
            store.save(outcome.exam)
        else:
            store.sync(PK)


class Scene:
    """An exam before a transition and after it, on a disk of its own, again and again."""

    def __init__(self, folder: Path, story: str) -> None:
        before, self.facts = STORIES[story]
        self.root = folder / "exams"
        self.store = Store(self.root)
        self.prepare()
        self.lay(before)
        self.old = self.store.load(PK)
        self._texts = self.texts()
        self._is_listed = self._has_two_names()
        self.act()
        self.new = self.store.load(PK)
        assert self.new
        self.reset()

    def prepare(self) -> None:
        """See that the list is whole, however slow the disk: no thread is at it at the forks."""
        self.store.prepare()
        assert self.store.index.join(WAIT_S)

    def lay(self, facts: list[Fact]) -> None:
        """Apply what came before."""
        if facts:
            apply(self.store, facts)

    def act(self) -> None:
        """Make the transition."""
        apply(self.store, self.facts)

    def texts(self) -> dict[Path, bytes]:
        """Every file there is, but for the locks."""
        paths = [self.root / ".open" / PK, self.root / ".tmp" / f"{PK}.tmp", self.store.path(PK)]
        return {path: path.read_bytes() for path in paths if path.exists()}

    def reset(self, texts: dict[Path, bytes] | None = None) -> None:
        """Put other files in their place; without any, those from before the transition."""
        for path in self.texts():
            path.unlink()
        for path, text in (self._texts if texts is None else texts).items():
            path.write_bytes(text)
        if texts is None and self._is_listed:
            self.store.path(PK).unlink()
            self.store.path(PK).hardlink_to(self.root / ".open" / PK)
        self.lay_spare()

    def _has_two_names(self) -> bool:
        return self.old is not None and self.store.path(PK).stat().st_nlink == 2

    def lay_spare(self) -> None:
        """Have one spare, where one would be taken; else none."""
        for path in (self.root / ".spare").iterdir():
            path.unlink()
        self.store._spares = Spares(self.root / ".spare", boot="boot")
        self.store._spares._looked = monotonic()
        if not spares.GRACE_S:
            (self.root / ".spare/boot.0.x").write_text("what was once an exam")
            self.store._spares._names.append((0.0, "boot.0.x"))

    def check(self, *, may_be: list[Exam | None]) -> None:
        """See that nobody who comes now meets anything but an exam of *may_be*, and can go on."""
        exam = self.store.load(PK)
        assert exam in may_be
        if exam and exam.standing.status is Status.STARTED:
            assert [PK] == list(self.store.open_exams())

    def check_repeat(self) -> None:
        """See that what was left behind is swept, nobody holds the lock, and it can be repeated."""
        self.prepare()
        assert [] == list((self.root / ".tmp").iterdir())
        with self.store.lock(PK, wait_s=0):
            pass
        self.act()
        assert self.new == self.store.load(PK)
        assert self.new
        rows = [row_of(self.new)]
        wait_until(lambda: self.store.index.page(limit=5) == rows, saying="its row")
        assert sum(self.store.index.counts().values()) == 1


def under_fire(scene: Scene) -> int:
    """Strike each call of the transition with each fault; return how many there were."""
    struck = list(faults(count_calls(scene.act)))
    for fault in struck:
        scene.reset()
        code = in_a_process(scene.act, fault)
        assert code != LEAKED, f"{fault} leaves a descriptor open"
        scene.check(may_be=[scene.new] if code == RETURNED else [scene.old, scene.new])
        scene.check_repeat()
    return len(struck)


def break_everything(scene: Scene) -> None:
    """Both."""
    under_fire(scene)
    scene.reset()
    power_cuts(scene)


def power_cuts(scene: Scene) -> int:
    """Cut the power after each call; return the number of states that this may leave."""
    disk = Disk(scene.root)
    states: list[list[dict[Path, bytes]]] = [list(disk.states())]

    def wrap(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        inner = disk.wrap(name, call)

        def watched(*args: Any, **kwargs: Any) -> Any:
            result = inner(*args, **kwargs)
            states.append([])
            states[-1] += [state for state in disk.states() if state not in states[-1]]
            return result

        return watched

    with calls_through(wrap):
        scene.act()
    for state in (state for at_once in states for state in at_once):
        scene.reset(state)
        scene.check(may_be=[scene.old, scene.new])
    for state in states[-1]:
        scene.reset(state)
        scene.check(may_be=[scene.new])
    return sum(map(len, states))


@pytest.fixture
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the store do it so."""
    is_flushed = request.param == "flushed"
    monkeypatch.setattr(durable, "MANY", 1 if is_flushed else 1_000)
    monkeypatch.setattr(Flush, "is_wise", lambda *_: is_flushed)
    if request.param == "spared":
        monkeypatch.setattr(spares, "GRACE_S", 0.0)
    return str(request.param)


@every_way
@every_story
def test_every_call_fails(tmp_path: Path, way: str, story: str) -> None:
    """
    After any fault of any call the document is the old one or the new one, and it can be repeated.

    Nothing else is left: no descriptor, no lock, nothing that is not swept, and no open exam that
    is not listed. What returned is the new document.
    """
    assert under_fire(Scene(tmp_path, story)) >= (40 if way == "flushed" else 50)


@every_way
@every_story
def test_power_cut(tmp_path: Path, way: str, story: str) -> None:
    """
    Whatever of the unsynced reaches the disk, the document is the old one or the new one, whole.

    Once the transition has returned, and the command is acknowledged, it is the new one.
    """
    assert power_cuts(Scene(tmp_path, story)) >= (20 if way == "flushed" else 25)


@every_story
def test_no_call_escapes(tmp_path: Path, story: str) -> None:
    """What Python says that it changes on the disk is what is struck."""
    scene = Scene(tmp_path, story)
    heard: Counter[str] = Counter()
    names = {"os.rename": "rename", "os.link": "link", "os.remove": "unlink", "os.mkdir": "mkdir"}
    names |= {"os.rmdir": "rmdir", "os.truncate": "truncate", "os.symlink": "symlink"}
    is_on = True

    def hear(event: str, args: tuple[Any, ...]) -> None:
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
        if is_on and event == "open" and isinstance(args[2], int) and args[2] & writes:
            heard["open"] += 1
        elif is_on and event in names:
            heard[names[event]] += 1

    sys.addaudithook(hear)
    struck = Counter(count_calls(scene.act))
    is_on = False

    # A first document gets a second name, by which it becomes a spare; later ones are exchanged.
    assert scene.new
    is_closed = scene.new.standing.status is not Status.STARTED
    was_open = scene.old is not None and scene.old.standing.status is Status.STARTED
    was_closed = scene.old is not None and not was_open
    assert heard["link"] == (not is_closed)
    assert heard["rename"] == is_closed + was_open
    assert heard["unlink"] == is_closed - was_open
    assert struck["exchange"] == was_closed
    folders = struck["fsync"] - struck["write"]  # opened to be synced, not to be written
    assert heard["open"] + folders + 1 == struck["open"]  # the document that is read
    assert {name: struck[name] for name in names.values()} == {
        name: heard[name] for name in names.values()
    }


def _write_without_fsync(path: str, rest: bytes, *, is_synced: bool, how: int) -> os.stat_result:
    assert is_synced
    return _WRITE(path, rest, is_synced=False, how=how)


def _write_once(path: str, rest: bytes, *, is_synced: bool, how: int) -> None:
    assert is_synced
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how | os.O_CLOEXEC, 0o640)
    try:
        os.write(descriptor, rest)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_without_close(path: str, rest: bytes, *, is_synced: bool, how: int) -> None:
    assert is_synced
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how | os.O_CLOEXEC, 0o640)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fsync(descriptor)
    os.close(descriptor)


def _replace_in_place(files: Sequence[durable.NewFile], *, before: Iterable[Path]) -> None:
    for folder in before:
        durable.sync_folder(folder)
    for file in files:
        _WRITE(file.path, file.text.encode(), is_synced=True)
        durable.sync_folder(file.folder)


def _replace_unsynced(files: Sequence[durable.NewFile], *, before: Iterable[Path]) -> None:
    for folder in before:
        durable.sync_folder(folder)
    with patch.object(durable, "sync_folder"):
        _REPLACE(files)


def _list_unsynced(files: Sequence[durable.NewFile], *, before: Iterable[Path]) -> None:
    assert before
    _REPLACE(files)


class _Lazy(Flush):
    """Flushes at all but one of the times."""

    def __init__(self, *, lazy_at: int) -> None:
        super().__init__()
        self._lazy_at = lazy_at
        self._count = 0

    def is_wise(self, _: Path) -> bool:
        """Always."""
        return True

    def flush(self, descriptor: int) -> None:
        """Leave out the first of two, or the second."""
        if self._count % 2 != self._lazy_at:
            super().flush(descriptor)
        self._count += 1


def _save_then_list(self: Store, exam: Exam) -> None:
    with patch.object(store, "NewFile", _unlisted), patch.object(Store, "_list_as_open"):
        _SAVE(self, exam)
    if exam.standing.status is Status.STARTED:
        _LIST(self, [exam.pk])


def _unlisted(**given: Any) -> durable.NewFile:
    return durable.NewFile(**{**given, "listed": None})


def _rename_listed(self: durable.NewFile) -> None:
    Path(self.listed or self.temporary).rename(self.path)


@contextmanager
def _tidy_listed(files: Sequence[durable.NewFile]) -> Iterator[None]:
    try:
        yield
    except OSError:
        for file in files:
            with suppress(OSError):
                Path(file.listed or file.temporary).unlink()
        raise


def _close_then_save(self: Store, exam: Exam) -> None:
    if exam.standing.status is not Status.STARTED:
        self.close(exam.pk)
    _SAVE(self, exam)


@contextmanager
def _keep_lock(self: Store, pk: str, *, wait_s: float = 10.0) -> Iterator[None]:
    lock = _LOCK(self, pk, wait_s=wait_s)
    lock.__enter__()
    _KEPT.append(lock)
    yield
    lock.__exit__(None, None, None)


_KEPT: list[object] = []
_WRITE, _REPLACE = durable._write, durable.replace_files
_LIST, _SAVE, _LOCK = Store._list_as_open, Store.save, Store.lock
#: What is broken, and in which story it must be seen.
MUTANTS: dict[str, tuple[object, str, object, str]] = {
    "file not synced": (durable, "_write", _write_without_fsync, "result"),
    "short write taken for a whole one": (durable, "_write", _write_once, "result"),
    "file not closed after an error": (durable, "_write", _write_without_close, "result"),
    "written in place": (store, "replace_files", _replace_in_place, "result"),
    "folder not synced": (store, "replace_files", _replace_unsynced, "result"),
    "list of open exams not synced": (store, "replace_files", _list_unsynced, "start"),
    "renamed before it was flushed": (durable, "_flush", _Lazy(lazy_at=0), "result"),
    "name not flushed": (durable, "_flush", _Lazy(lazy_at=1), "result"),
    "not listed any more": (durable.NewFile, "put", _rename_listed, "start"),
    "taken off the list after an error": (durable, "_tidy", _tidy_listed, "start"),
    "listed too late": (Store, "save", _save_then_list, "start"),
    "taken off the list too early": (Store, "save", _close_then_save, "absence"),
    "lock kept after an error": (Store, "lock", _keep_lock, "result"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_teeth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    """Each rule of the store, once broken, is missed."""
    where, name, broken, story = MUTANTS[mutant]
    monkeypatch.setattr(durable, "MANY", 1 if isinstance(broken, Flush) else 1_000)
    scene = Scene(tmp_path, story)

    with patch.object(where, name, broken), pytest.raises(Exception) as caught:  # noqa: PT011 - torn
        break_everything(scene)

    assert isinstance(caught.value, AssertionError | Damaged)


def test_every_kind_strikes(tmp_path: Path) -> None:
    """Every kind of fault is among those that strike, and some of them are seen by the store."""
    scene = Scene(tmp_path, "result")
    struck = list(faults(count_calls(scene.act)))
    scene.reset()

    assert set(KINDS) == {fault.kind for fault in struck}
    codes = set()
    for fault in struck:
        scene.reset()
        codes.add(in_a_process(scene.act, fault))
    assert {RETURNED, FAILED, 9} == codes


def test_document_of_both(tmp_path: Path) -> None:
    """The two documents of each story differ: a check that takes the one for the other is none."""
    for story in STORIES:
        scene = Scene(tmp_path / story, story)
        assert scene.new
        assert scene.old is None or to_document(scene.old) != to_document(scene.new)
