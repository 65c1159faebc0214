"""The index: a list of exams that is there at once, and what mends it."""

import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from filestore import index as index_module
from filestore.exam import Exam, transition
from filestore.fact import Fact, Status, Type
from filestore.index import Index
from filestore.row import Row, row_of
from filestore.store import Store
from filestore.table import Table, Unready

#: Saves exams under names of its own, some of them twice.
WRITER = """
import sys
from pathlib import Path
from typing import Any
sys.path.insert(0, sys.argv[3])
from unit.test_index import save
from filestore.store import Store
store = Store(Path(sys.argv[1]))
for number in range(60):
    save(store, f"{sys.argv[2]}-{number}", at_ms=number)
    if number % 2:
        save(store, f"{sys.argv[2]}-{number}", at_ms=number, result="pass")
"""


class KilledError(BaseException):
    """The process dies here."""


def exam_of(pk: str, *, at_ms: int, result: str | None = None) -> Exam:
    """Make an exam that was started, and perhaps decided a millisecond later."""
    facts = [_fact(at_ms, Type.START, 120)]
    facts += [_fact(at_ms + 1, Type.FINISH, result)] if result else []
    exam = transition(pk, None, facts).exam
    assert exam
    return exam


def save(store: Store, pk: str, *, at_ms: int, result: str | None = None) -> Row:
    """Save an exam as a worker does; return the row that it should have."""
    exam = exam_of(pk, at_ms=at_ms, result=result)
    with store.lock(pk):
        store.save(exam)
    return row_of(exam)


def _fact(at_ms: int, kind: Type, value: int | str) -> Fact:
    entry = f"{at_ms}-0"
    return Fact(at_ms=at_ms, entry=entry, command=entry, source=None, type=kind, value=value)


def names(store: Store) -> list[str]:
    """Name all exams of the list, as they stand there."""
    return [row.pk for row in store.index.page(limit=500)]


def restarted(store: Store) -> None:
    """Let the next worker come."""
    Store(store.path("a").parents[1]).prepare()


def filled(store: Store) -> list[str]:
    """Wait for the thread that fills it; name all exams."""
    assert store.index.join(10)
    return names(store)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who saves does not wait for more, and who asks does wait, however slow the disk."""
    monkeypatch.setattr(index_module, "GATHER_S", 0.0)
    monkeypatch.setattr(index_module, "PATIENCE_S", 30.0)
    monkeypatch.setattr(index_module, "ASKED_WAIT_S", 30.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the exams lie."""
    return tmp_path / "exams"


@pytest.fixture
def store(root: Path) -> Iterator[Store]:
    """A new store."""
    store = Store(root)
    store.prepare()
    yield store
    assert store.index.join(10)


def test_a_list_is_newest_first(store: Store) -> None:
    """What was saved is listed by its start, and by name where two started at once."""
    rows = [save(store, pk, at_ms=at) for pk, at in (("b", 5), ("c", 9), ("a", 5), ("d", 1))]

    found = store.index.page(limit=10)

    assert ["c", "b", "a", "d"] == [row.pk for row in found]
    assert sorted(rows, key=lambda row: row.pk) == sorted(found, key=lambda row: row.pk)


def test_filters(store: Store) -> None:
    """A list can be of one status, of what started since, and of what lies behind an exam."""
    for at_ms in range(10):
        save(store, f"e{at_ms}", at_ms=at_ms, result="pass" if at_ms % 2 else None)

    def page(**wanted: object) -> list[str]:
        return [row.pk for row in store.index.page(limit=3, **wanted)]  # type: ignore[arg-type]

    assert ["e9", "e7", "e5"] == page(status=Status.PASS)
    assert ["e9", "e8"] == page(since_ms=8)
    assert ["e3", "e1"] == page(status=Status.PASS, before=(5, "e5"))
    assert ["e4"] == page(status=Status.STARTED, before=(6, "e6"), since_ms=3)


def test_counts(store: Store) -> None:
    """The counts follow each change, and no repeat of one."""
    for pk in ("a", "b", "c"):
        save(store, pk, at_ms=1)
    for _ in range(2):
        save(store, "a", at_ms=1, result="pass")
    save(store, "b", at_ms=1, result="fail")
    save(store, "b", at_ms=1, result="pass")

    assert store.index.counts() == {"started": 1, "pass": 2, "fail": 0, "absent": 0}


@pytest.mark.parametrize("status", [None, Status.PASS])
@pytest.mark.parametrize("before", [None, (5, "e")])
def test_no_page_scans(store: Store, status: Status | None, before: tuple[int, str] | None) -> None:
    """SQLite finds each page, its beginning and its end, in an index, and sorts nothing."""
    said: list[str] = []
    ask = Table._ask

    def explain(self: Table, sql: str, values: tuple[object, ...]) -> list[object]:
        said.extend(row[3] for row in ask(self, f"EXPLAIN QUERY PLAN {sql}", values))  # type: ignore[arg-type]
        return []

    with patch.object(Table, "_ask", explain):
        store.index.page(status=status, before=before, since_ms=3, limit=5)

    [plan] = said
    assert plan.startswith("SEARCH exams USING ")
    assert "started_ms>" in plan
    assert not before or "(started_ms,pk)<" in plan


def test_killed_between_file_and_row(store: Store) -> None:
    """A worker is killed when the file is there and the row is not: the command's return mends it.

    The command was not acknowledged, so it does come again, changes nothing, and is synced.
    """
    save(store, "a", at_ms=1)
    assert ["a"] == filled(store)
    with patch.object(Index, "note", side_effect=KilledError), pytest.raises(KilledError):
        save(store, "a", at_ms=1, result="pass")
    assert [Status.STARTED] == [row.status for row in store.index.page(limit=5)]

    with store.lock("a"):
        store.sync("a")

    assert [Status.PASS] == [row.status for row in store.index.page(limit=5)]
    assert store.index.counts()[Status.PASS] == 1


def test_full_disk(store: Store, root: Path) -> None:
    """Where SQLite has no room the list stands still, and nothing is half done; then it goes on."""
    save(store, "a", at_ms=1)
    assert ["a"] == names(store)
    connect = sqlite3.connect

    def small(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)  # type: ignore[call-overload]
        [[pages]] = connection.execute("PRAGMA page_count")
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection  # type: ignore[no-any-return]

    with patch.object(sqlite3, "connect", small):
        for number in range(index_module.BATCH):
            save(store, f"{'x' * 50}-{number}", at_ms=2)
        assert len(names(store)) == sum(store.index.counts().values()) < index_module.BATCH

    assert index_module.BATCH + 1 == len(filled(store)) == sum(store.index.counts().values())
    with closing(sqlite3.connect(root / ".index.sqlite")) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()


@pytest.mark.parametrize("damage", ["removed", "emptied", "garbage", "cut"])
def test_made_anew_by_the_next_worker(store: Store, root: Path, damage: str) -> None:
    """An index that is missing or damaged is made from the files when a worker starts."""
    rows = {save(store, f"e{at_ms}", at_ms=at_ms) for at_ms in range(30)}
    rows.add(save(store, "p", at_ms=50, result="fail"))
    assert 31 == len(filled(store))
    spoil(root / ".index.sqlite", damage)
    with pytest.raises(Unready):
        store.index.page(limit=5)

    restarted(store)

    assert rows == set(store.index.page(limit=500))
    assert store.index.counts() == {"started": 30, "pass": 0, "fail": 1, "absent": 0}
    assert (damage != "removed") == (root / ".damaged" / ".index.sqlite").exists()


@pytest.mark.parametrize("damage", ["removed", "emptied", "garbage", "cut"])
def test_made_anew_by_who_writes(store: Store, root: Path, damage: str) -> None:
    """A worker that meets a damaged index saves its exam all the same, and makes it anew."""
    save(store, "a", at_ms=1)
    assert ["a"] == filled(store)
    spoil(root / ".index.sqlite", damage)

    save(store, "b", at_ms=2)

    assert ["b", "a"] == filled(store)


def spoil(path: Path, damage: str) -> None:
    """Do something to a file."""
    match damage:
        case "removed":
            path.unlink()
        case "emptied":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(b"garbage!" * 2048)
        case "cut":
            path.write_bytes(path.read_bytes()[:4096])


def test_older_store(root: Path) -> None:
    """A store of before there was an index gets one; a file that is no document is not in it."""
    old = Store(root)
    with patch.object(Index, "note"):
        for at_ms in range(3):
            save(old, f"e{at_ms}", at_ms=at_ms)
    old.path("bad").write_text("{")

    old.prepare()

    assert ["e2", "e1", "e0"] == filled(old)


def test_power_cut(root: Path) -> None:
    """After another start of the machine the list is made anew; after none it is trusted."""
    store = Store(root)
    store.index = Index(root, path=store.path, boot="first")
    store.prepare()
    save(store, "a", at_ms=1)
    with patch.object(Index, "note"):
        save(store, "lost", at_ms=2)

    Index(root, path=store.path, boot="first").prepare()
    assert ["a"] == names(store)
    Index(root, path=store.path, boot="second").prepare()

    assert ["lost", "a"] == names(store)


def test_one_fills_and_nobody_waits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one fills it another writes, the list says that it is not whole, and no row is lost.

    What was read from a file before a writer came never replaces what the writer knew.
    """
    old = Store(root)
    with patch.object(Index, "note"):
        for at_ms in range(5):
            save(old, f"e{at_ms}", at_ms=at_ms)
    read = index_module._rows
    seen: list[str] = []

    def write_meanwhile(paths: list[Path]) -> list[Row]:
        monkeypatch.setattr(index_module, "_rows", read)
        rows = list(read(paths))
        with pytest.raises(Unready):
            old.index.page(limit=5)
        for at_ms in range(5):
            save(Store(root), f"e{at_ms}", at_ms=at_ms, result="pass")
        save(Store(root), "new", at_ms=9)
        seen.extend(row.pk for row in rows)
        return rows

    monkeypatch.setattr(index_module, "_rows", write_meanwhile)
    old.prepare()

    assert ["new", "e4", "e3", "e2", "e1", "e0"] == filled(old)
    assert sorted(seen) == ["e0", "e1", "e2", "e3", "e4"]
    assert old.index.counts() == {"started": 1, "pass": 5, "fail": 0, "absent": 0}


def test_filling_starts_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that is lost while it is filled is not taken for whole when that ends."""
    monkeypatch.setattr(index_module, "BATCH", 1)
    monkeypatch.setattr(index_module, "LOOK_S", 0.01)
    old = Store(root)
    with patch.object(Index, "note"):
        for at_ms in range(3):
            save(old, f"e{at_ms}", at_ms=at_ms)
    fill, calls = Table.fill, [0]

    def lose(self: Table, rows: list[Row], *, token: int) -> None:
        fill(self, rows, token=token)
        calls[0] += 1
        if calls[0] == 2:
            self.path.unlink()
            with patch.object(Index, "_start"):
                save(Store(root), "new", at_ms=9)

    monkeypatch.setattr(Table, "fill", lose)
    old.prepare()

    assert ["new", "e2", "e1", "e0"] == filled(old)


def test_two_processes(store: Store, root: Path) -> None:
    """Two processes that save at the same time lose no row, and count each exam once."""
    tests = str(Path(__file__).parents[1])
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(root), name, tests])
        for name in ("left", "right")
    ]

    assert [0, 0] == [writer.wait(60) for writer in writers]
    restarted(store)
    assert len(set(names(store))) == 120
    assert store.index.counts() == {"started": 60, "pass": 60, "fail": 0, "absent": 0}


@pytest.fixture
def stopped(root: Path, store: Store) -> Iterator[Callable[[], None]]:
    """Somebody was stopped while it used the table; call it to let it go on."""
    with (root / ".index.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(lock, fcntl.LOCK_UN)


def notes(root: Path) -> list[str]:
    """Name the exams whose rows are still to be written."""
    return [path.name.partition("~")[0] for path in (root / ".index.late").iterdir()]


def test_stopped_process(store: Store, root: Path, stopped: Callable[[], None]) -> None:
    """One that was stopped in the middle holds up nobody, and the rows follow."""
    saved = [save(store, pk, at_ms=1) for pk in ("a", "b")]
    saved += [save(store, "a", at_ms=1, result="pass")]
    assert sorted(notes(root)) == ["a", "a", "b"]

    stopped()

    assert ["b", "a"] == names(store)
    assert saved[:0:-1] == sorted(store.index.page(limit=5), key=lambda row: row.pk)
    assert notes(root) == []


@pytest.mark.parametrize("who", ["next worker", "next save"])
def test_killed_with_notes(store: Store, root: Path, stopped: Callable[[], None], who: str) -> None:
    """The notes of one that was killed are worked off by whoever comes."""
    save(store, "a", at_ms=1)
    stopped()
    other = Store(root)
    if who == "next worker":
        other.prepare()
    else:
        save(other, "b", at_ms=2)

    assert notes(root) == []
    assert "a" in names(other)


def test_noted_rows_need_no_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of exams that were saved together the rows are noted, and no file is read once more."""
    names(store)  # what is there already
    exams = [exam_of(f"n{number}", at_ms=number) for number in range(5)]
    decided = exam_of("n3", at_ms=3, result="pass")
    with monkeypatch.context() as patched:
        patched.setattr(Index, "_work_off", lambda *_, **__: False)
        store.save_all(exams)
        store.save_all([decided, exam_of("n9", at_ms=9)])  # the first note of n3 is stale by now
    read: list[str] = []
    rows = index_module._rows

    def noted(paths: Iterable[Path]) -> Iterator[Row]:
        some = list(paths)
        read.extend(path.stem for path in some)
        return rows(some)

    monkeypatch.setattr(index_module, "_rows", noted)

    found = {row.pk: row for row in store.index.page(limit=50)}

    assert [] == [pk for pk in read if pk != "n3"]
    expected = [*exams[:3], decided, exams[4], exam_of("n9", at_ms=9)]
    assert [row_of(exam) for exam in expected] == [found[exam.pk] for exam in expected]


@pytest.mark.parametrize(
    "line",
    [
        "n1",
        "n1 started 1 2 - 3 4 5",
        "n1 started x 2 - {file}",
        "n1 gone 1 2 - {file}",
        "n1 started 1",
        "n1 " + "9" * 5_000,
        "",
        "elsewhere started 1 2 - {file}",
    ],
)
def test_odd_notes(store: Store, root: Path, line: str) -> None:
    """Whatever stands in a note, the list says what the files do."""
    row = save(store, "n1", at_ms=1)
    seen = store.path("n1").stat()
    file = f"{seen.st_ino} {seen.st_mtime_ns} {seen.st_size}"
    (root / ".index.late" / "~0123456789abcdef").write_text(line.format(file=file))

    assert [row] == store.index.page(limit=50)


def test_who_asks_sees_what_was_saved(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits to be written with more is written when somebody asks."""
    monkeypatch.setattr(index_module, "GATHER_S", 3_600.0)
    save(store, "a", at_ms=1)
    save(store, "a", at_ms=1, result="pass")
    save(store, "b", at_ms=2)

    assert store.index.counts() == {"started": 1, "pass": 1, "fail": 0, "absent": 0}
    assert ["b", "a"] == names(store)


def test_strangers_among_the_notes(store: Store, root: Path) -> None:
    """A file that no note is called like, such as NFS makes of one that is open, is left alone."""
    save(store, "a", at_ms=1)
    late = root / ".index.late"
    late.mkdir(exist_ok=True)
    strangers = [late / ".nfs0000000000000001", late / ".DS_Store"]
    for path in strangers:
        path.write_text("a started 1 2 - 3 4 5")
    (late / "folder").mkdir()
    save(store, "b", at_ms=2)
    store.sync("b")
    store.prepare()

    assert filled(store) == ["b", "a"]
    assert all(path.exists() for path in [*strangers, late / "folder"])


@pytest.mark.parametrize("size", [1, 40, 64])
def test_note_of_any_pk_fits(store: Store, root: Path, size: int) -> None:
    """The name of a note is one that every file system takes; its row is found all the same."""
    pk = "x" * size
    with patch.object(Table, "put", side_effect=TimeoutError):
        save(store, pk, at_ms=1)
        save(store, pk, at_ms=1, result="pass")

    names = [path.name for path in (root / ".index.late").iterdir()]
    assert names
    assert max(map(len, names)) <= 143
    assert filled(store) == [pk]
    assert store.index.counts()[Status.PASS] == 1


@pytest.mark.parametrize("is_named", [False, True])
def test_note_made_while_one_is_worked_off(
    store: Store,
    root: Path,
    stopped: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    is_named: bool,
) -> None:
    """Who notes an exam just after its row was found for another note has its own written, too."""
    save(store, "a", at_ms=1)
    stopped()
    name = "of_line" if is_named else "_rows"
    find = getattr(index_module, name)
    if not is_named:
        for note in (root / ".index.late").iterdir():
            note.rename(note.with_name("a~0123456789abcdef"))

    def save_meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(index_module, name, find)
        found = find(*args)
        rows = found if is_named else iter(list(found))
        with patch.object(Table, "put", side_effect=TimeoutError):
            save(Store(root), "a", at_ms=1, result="pass")
        return rows

    monkeypatch.setattr(index_module, name, save_meanwhile)
    store.prepare()

    assert filled(store) == ["a"]
    assert store.index.counts()[Status.PASS] == 1
    assert notes(root) == []


def test_after_a_fork(store: Store) -> None:
    """A child of a fork uses the index as its parent does, at the same time."""
    save(store, "parent", at_ms=1)
    child = os.fork()
    if not child:
        try:
            save(store, "child", at_ms=2)
            os._exit(0)
        finally:
            os._exit(1)
    save(store, "parent", at_ms=1, result="pass")

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ["child", "parent"] == names(store)
    assert store.index.counts() == {"started": 1, "pass": 1, "fail": 0, "absent": 0}


def test_no_file_stays_open(store: Store) -> None:
    """Nothing of the index is held between two uses: the disk can be made read-only."""
    save(store, "a", at_ms=1)
    names(store)

    held = [path for path in Path("/proc/self/fd").iterdir() if ".index" in str(_target(path))]

    assert held == []


def _target(path: Path) -> Path | None:
    try:
        return path.readlink()
    except FileNotFoundError:
        return None
