"""The file store: durable documents, and a lock per exam."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.documents import to_document

from filestore import durable
from filestore.document import Damaged
from filestore.exam import Exam, transition
from filestore.fact import Fact, Type
from filestore.flush import Flush
from filestore.lock import Locked
from filestore.name import is_name
from filestore.store import Store
from ingest.commands import ExamStart

PK = "math-7"
#: Holds an exam's lock until it is killed.
HOLDER = """
import sys
from pathlib import Path
from filestore.store import Store
with Store(Path(sys.argv[1])).lock(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""
threads_exclude_each_other = pytest.mark.skipif(
    sys.platform != "linux", reason="open file description locks are Linux'"
)


class KilledError(BaseException):
    """The process dies here."""


def fact(at_ms: int, kind: Type, value: int | str) -> Fact:
    """A command without an id of its own."""
    entry = f"{at_ms}-0"
    return Fact(at_ms=at_ms, entry=entry, command=entry, source=None, type=kind, value=value)


def applied(exam: Exam | None, *facts: Fact, pk: str = PK) -> Exam:
    """The exam after *facts*."""
    after = transition(pk, exam, facts).exam
    assert after is not None
    return after


STARTED = applied(None, fact(0, Type.START, 120))
PASSED = applied(STARTED, fact(70_000, Type.FINISH, "pass"))
TWELVE = [replace(STARTED, pk=f"e{number}") for number in range(12)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A new store."""
    store = Store(tmp_path / "exams")
    store.prepare()
    return store


@contextmanager
def other_process(root: Path, pk: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds an exam's lock; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root), pk],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield holder
        finally:
            holder.kill()


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """No file can grow beyond *most_bytes*."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files(tmp_path: Path) -> list[str]:
    """Every file of the store but its locks, its index and its list of open exams."""
    found = (
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and path.suffix and path.parent.name != ".spare"
    )
    names = (path.name for path in found if path.parent.name != ".open")
    return sorted(name for name in names if not name.startswith(".index."))


def killed(step: Callable[..., Any], *, is_done: bool) -> Callable[..., Any]:
    """A step in which the process dies; the kernel may have done the work by then, or half."""

    def die(target: Any, *arguments: Any) -> None:
        half = [part[: len(part) // 2] if isinstance(part, bytes) else part for part in arguments]
        if is_done:
            step(target, *half)
        raise KilledError

    return die


def leave_behind(store: Store, exam: Exam, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save an exam in a process that is killed when all is written and nothing is in place."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed(os.rename, is_done=False))
        patch.setattr(os, "link", killed(os.link, is_done=False))
        with pytest.raises(KilledError):
            store.save(exam)


def is_free(store: Store, pk: str) -> bool:
    """Whether the exam's lock can be had at once."""
    try:
        with store.lock(pk, wait_s=0):
            return True
    except Locked:
        return False


def test_round_trip(store: Store) -> None:
    """What was saved is loaded, by this process and by the next one."""
    store.save(PASSED)

    assert store.load(PK) == PASSED


def test_unknown_exam(store: Store) -> None:
    """There is no exam before it was saved."""
    assert (None, None, False) == (store.load(PK), store.read(PK), store.exists(PK))


def test_document_lies_in_its_shard(store: Store, tmp_path: Path) -> None:
    """An exam's file is `<root>/<shard>/<pk>.json`, and its folder is made with the first one."""
    store.save(STARTED)

    path = store.path(PK)
    assert path.relative_to(tmp_path / "exams").match("[0-9a-f][0-9a-f]/math-7.json")
    assert json.loads(path.read_bytes()) == to_document(STARTED)
    assert store.exists(PK)


def test_document_is_text_for_people(store: Store) -> None:
    """The file has one field a line, ends in a newline, and shows any script as it is."""
    named = replace(fact(0, Type.START, 120), source="Schule Zürich 🎓")
    store.save(applied(None, named))

    text = store.path(PK).read_text()
    assert "Schule Zürich 🎓" in text
    assert text.endswith("}\n")
    assert text.count("\n") > 10


def test_save_replaces(store: Store, tmp_path: Path) -> None:
    """The new document takes the old one's place, and no other file is left."""
    store.save(STARTED)
    store.save(PASSED)

    assert store.load(PK) == PASSED
    assert files(tmp_path) == ["math-7.json"]


def test_reader_keeps_what_it_opened(store: Store) -> None:
    """Who reads while a writer saves has the old document, whole."""
    store.save(STARTED)
    with store.path(PK).open() as reader:
        store.save(PASSED)

        assert json.load(reader)["status"] == "started"


def test_save_is_on_disk(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synced are: a new shard's name, the content, the list of open exams, then its name."""
    store.path(PK).parent.rmdir()
    synced: list[tuple[int, bool]] = []
    sync = os.fsync

    def spy(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, store.exists(PK)))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    store.save(STARTED)

    path = store.path(PK)
    exams = tmp_path / "exams"
    root, listed, content, shard = (
        place.stat().st_ino for place in (exams, exams / ".open", path, path.parent)
    )
    assert synced == [(root, False), (content, False), (listed, False), (shard, True)]


def test_shard_removed_meanwhile(store: Store, tmp_path: Path) -> None:
    """A folder that somebody removes between two saves is missed once, and made anew."""
    store.save(STARTED)
    shutil.rmtree(store.path(PK).parent)

    with pytest.raises(FileNotFoundError):
        store.save(PASSED)
    store.save(PASSED)

    assert PASSED == store.load(PK)


def test_shards_are_there_and_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every shard, and the root, is made and synced at the start: no exam hangs on who made it."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))
    root = tmp_path / "exams"
    Store(root).prepare()

    assert len([path for path in root.iterdir() if len(path.name) == 2]) == 256
    assert synced == [root.stat().st_ino, tmp_path.stat().st_ino]


def test_folder_among_the_leftovers(store: Store, tmp_path: Path) -> None:
    """What cannot be a leftover of ours is left alone, and keeps nobody from starting."""
    (tmp_path / "exams/.tmp/folder.tmp").mkdir()

    assert store.prepare() == 0


def test_open_exams_are_listed(store: Store) -> None:
    """An open exam is on the list, a decided one is not."""
    store.save(STARTED)
    assert list(store.open_exams()) == [PK]

    store.save(PASSED)
    assert list(store.open_exams()) == []


def test_listed_before_it_is_open(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that is killed leaves a name too many on the list, never an exam that is not."""
    leave_behind(store, STARTED, monkeypatch)

    assert not store.exists(PK)
    assert list(store.open_exams()) == [PK]


def test_list_has_the_first_document(store: Store, tmp_path: Path) -> None:
    """An open exam is listed by a second name of its document, until it is decided."""
    listed = tmp_path / "exams/.open" / PK
    store.save(STARTED)
    assert listed.samefile(store.path(PK))

    store.save(PASSED)
    assert not listed.exists()
    assert store.path(PK).stat().st_nlink == 1


def test_list_keeps_nobody_from_a_document(store: Store, tmp_path: Path) -> None:
    """What a killed writer left on the list is replaced, and never written to."""
    listed, other = tmp_path / "exams/.open" / PK, tmp_path / "other"
    other.write_text("somebody's")
    listed.hardlink_to(other)

    store.save(STARTED)

    assert store.load(PK) == STARTED
    assert listed.samefile(store.path(PK))
    assert other.read_text() == "somebody's"


@pytest.mark.parametrize("code", [errno.EPERM, errno.EMLINK, errno.EXDEV, 524])
def test_no_second_names(store: Store, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Where a file has one name only, the document is a file beside the one on the list."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))

    store.save(STARTED)

    assert store.load(PK) == STARTED
    assert list(store.open_exams()) == [PK]
    assert store.path(PK).stat().st_ino in synced
    store.save(PASSED)
    assert store.load(PK) == PASSED
    assert list(store.open_exams()) == []


def test_first_document_of_what_was_damaged(store: Store, tmp_path: Path) -> None:
    """What lies in its place gives way, and is not written to."""
    store.path(PK).write_text("none of ours")
    kept = store.set_aside(PK, at_ms=7)

    store.save(STARTED)

    assert store.load(PK) == STARTED
    assert list(store.open_exams()) == [PK]
    assert kept.read_text() == "none of ours"
    assert files(tmp_path) == ["math-7.7", "math-7.json"]
    assert [row.pk for row in store.index.page(limit=5)] == [PK]


def test_nothing_prepared(tmp_path: Path) -> None:
    """A store that nobody has prepared has no open exams."""
    assert list(Store(tmp_path / "none").open_exams()) == []


def test_failed_save_leaves_the_old_document(store: Store, tmp_path: Path) -> None:
    """When the disk is full the old document stands, and no half of the new one is left."""
    store.save(STARTED)

    with full_disk(100), pytest.raises(OSError, match="too large"):
        store.save(PASSED)

    assert store.load(PK) == STARTED
    assert files(tmp_path) == ["math-7.json"]


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_killed_in_any_step(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str
) -> None:
    """A writer killed before, in or after any step leaves the old document or the new one."""
    store.save(STARTED)
    seen = set()
    for is_done in (False, True):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, killed(getattr(os, step), is_done=is_done))
            with pytest.raises(KilledError):
                store.save(PASSED)
        seen.add(store.load(PK))

    assert seen <= {STARTED, PASSED}
    assert store.prepare() <= 1
    assert files(tmp_path) == ["math-7.json"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"{",
        b"\x00" * 400,
        b"\xff\xfe\xfd",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b"9" * 5_000,
        json.dumps(to_document(PASSED)).encode()[:-20],
        json.dumps(to_document(PASSED) | {"status": "fail"}).encode(),
        json.dumps(to_document(PASSED) | {"history": []}).encode(),
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_damaged_file_is_left_as_it_is(store: Store, text: bytes) -> None:
    """A file that is no document of ours is reported with its path, and not touched."""
    store.save(STARTED)
    store.path(PK).write_bytes(text)

    with pytest.raises(Damaged, match=str(store.path(PK))):
        store.load(PK)

    assert store.read(PK) == text


def test_renamed_file_is_damaged(store: Store) -> None:
    """The document of another exam is not taken for this one's: nobody gets another's result."""
    store.save(PASSED)
    other = store.path("math-8")
    other.parent.mkdir(exist_ok=True)
    store.path(PK).rename(other)

    with pytest.raises(Damaged, match="the document of exam 'math-7'"):
        store.load("math-8")


def test_unreadable_is_not_unknown(store: Store) -> None:
    """A file that cannot be read is the world's fault: it is not an exam that does not exist."""
    store.path(PK).mkdir(parents=True)

    with pytest.raises(IsADirectoryError):
        store.load(PK)


def test_files_are_not_for_everyone(store: Store) -> None:
    """Other users of the machine can read neither results nor the lock."""
    before = os.umask(0)
    try:
        with store.lock(PK):
            store.save(STARTED)
    finally:
        os.umask(before)

    lock = store.path(PK).parents[1] / ".lock"
    assert [0o640, 0o640] == [path.stat().st_mode & 0o777 for path in (store.path(PK), lock)]


@threads_exclude_each_other
def test_lock_excludes_threads(store: Store) -> None:
    """While one thread holds an exam, another one does not get it."""
    with ThreadPoolExecutor(1) as pool, store.lock(PK):
        assert not pool.submit(is_free, store, PK).result()


def test_lock_excludes_processes(store: Store, tmp_path: Path) -> None:
    """While one process holds an exam, another one does not get it, and says how long it tried."""
    with (
        other_process(tmp_path / "exams", PK),
        pytest.raises(Locked, match=r"exam math-7 has been locked .* for 0\.05 s"),
        store.lock(PK, wait_s=0.05),
    ):
        pass


def test_lock_is_of_one_exam(store: Store, tmp_path: Path) -> None:
    """While one exam is held, others are free."""
    with other_process(tmp_path / "exams", PK):
        assert is_free(store, "math-8")


def test_lock_ends_with_its_holder(store: Store, tmp_path: Path) -> None:
    """A holder that is killed holds nothing any more."""
    with other_process(tmp_path / "exams", PK) as holder:
        holder.kill()
        holder.wait()

        assert is_free(store, PK)


def test_lock_is_given_back(store: Store) -> None:
    """After its use the lock is free, also when the work failed."""
    with suppress(ZeroDivisionError), store.lock(PK):
        _ = 1 / 0

    assert is_free(store, PK)


def test_lock_is_waited_for(store: Store, tmp_path: Path) -> None:
    """Who waits for the lock gets it as soon as its holder is gone."""
    with other_process(tmp_path / "exams", PK) as holder:
        holder.kill()

        with store.lock(PK, wait_s=5):
            assert not is_free(store, PK) or sys.platform != "linux"


@threads_exclude_each_other
def test_writers_take_turns(store: Store) -> None:
    """Of many writers of one exam, each under its lock, none undoes what another did."""
    store.save(STARTED)

    def refuse_late(at_ms: int) -> None:
        with store.lock(PK):
            store.save(applied(store.load(PK), fact(at_ms, Type.FINISH, "pass")))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(refuse_late, range(200_000, 200_020)))

    exam = store.load(PK)
    assert exam is not None
    assert len(exam.history) == 21


def test_leftovers_are_swept(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What killed writers left behind is removed at the next start, and counted."""
    for pk in ("math-7", "math-8", "a.json", "b.tmp"):
        leave_behind(store, replace(PASSED, pk=pk), monkeypatch)
    assert len(files(tmp_path)) == 4

    assert store.prepare() == 4
    assert files(tmp_path) == []


def test_leftover_does_not_spoil_the_next_save(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A longer document that was never put in place leaves nothing in the next one."""
    leave_behind(store, PASSED, monkeypatch)

    store.save(STARTED)

    assert store.load(PK) == STARTED


@pytest.mark.parametrize("pk", [PK, "a.json", "b.tmp", "c.tmp.json"])
def test_leftover_of_a_living_writer_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pk: str
) -> None:
    """A file that somebody is writing now is no leftover."""
    leave_behind(store, replace(PASSED, pk=pk), monkeypatch)

    with other_process(tmp_path / "exams", pk):
        assert store.prepare() == 0
    assert len(files(tmp_path)) == 1


def test_prepare_again_keeps_exams(store: Store) -> None:
    """Preparing a store that is in use removes nothing of it."""
    store.save(STARTED)

    assert store.prepare() == 0
    assert store.load(PK) == STARTED


@pytest.mark.parametrize("pk", ["../../escaped", "a/b", "..", "", "a\x00", "m\u0430th", "x" * 65])
def test_no_file_of_another_name(store: Store, tmp_path: Path, pk: str) -> None:
    """What no exam can be called is nobody's exam, and no file is made of it."""
    before = set(tmp_path.rglob("*"))

    with pytest.raises(ValueError, match="no exam can be called"):
        store.save(replace(STARTED, pk=pk))

    assert store.load(pk) is None
    assert before == set(tmp_path.rglob("*"))


@pytest.mark.parametrize("pk", ["a", "A.b_c-9", "x" * 64, "../x", "", "x" * 65, "-a", "a\n"])
def test_names_are_those_of_the_doors(pk: str) -> None:
    """The store takes the names that the doors let in, and no others."""
    try:
        ExamStart(pk=pk)
    except ValidationError:
        assert not is_name(pk)
    else:
        assert is_name(pk)


@pytest.fixture
def _flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let many documents be flushed, wherever the tests' files lie."""
    monkeypatch.setattr(Flush, "is_wise", lambda *_: True)


@pytest.mark.usefixtures("_flushed")
def test_many_are_flushed(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the contents and the list of open exams are flushed, and then the names."""
    seen: list[tuple[int, int, int]] = []

    def spy(_: Flush, descriptor: int) -> None:
        assert os.fstat(descriptor).st_ino == (tmp_path / "exams/.tmp").stat().st_ino
        written = [path.stat().st_size for path in (tmp_path / "exams/.open").iterdir()]
        there = sum(store.exists(exam.pk) for exam in TWELVE)
        seen.append((len([size for size in written if size]), len(list(store.open_exams())), there))

    monkeypatch.setattr(Flush, "flush", spy)
    monkeypatch.setattr(os, "fsync", pytest.fail)
    reserve = os.posix_fallocate
    reserved: list[int] = []

    def spy_reserve(descriptor: int, offset: int, length: int) -> None:
        reserve(descriptor, offset, length)
        reserved.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "posix_fallocate", spy_reserve)
    shards = {str(store.path(exam.pk).parent) for exam in TWELVE}
    monkeypatch.setattr(store, "_known", shards)

    store.save_all(TWELVE)

    assert [(12, 12, 0), (12, 12, 12)] == seen
    assert sorted(reserved) == sorted(store.path(exam.pk).stat().st_size for exam in TWELVE)


@pytest.mark.usefixtures("_flushed")
def test_no_room_for_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is asked for room before anything gets its name: a flush does not tell of it."""

    def refuse(*_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "posix_fallocate", refuse)

    with pytest.raises(OSError, match="no space left"):
        store.save_all(TWELVE)
    assert not any(store.exists(exam.pk) for exam in TWELVE)


def test_leftover_with_a_second_name(store: Store, tmp_path: Path) -> None:
    """What a killed writer left may have another name, as in a backup: it is not written to."""
    left = tmp_path / "exams/.tmp" / f"{PK}.tmp"
    left.write_text("an old document")
    (tmp_path / "backup").hardlink_to(left)

    store.save(STARTED)

    assert (tmp_path / "backup").read_text() == "an old document"
    assert store.load(PK) == STARTED


@pytest.mark.usefixtures("_flushed")
@pytest.mark.parametrize("lost_at", [1, 2])
def test_flush_fails(store: Store, monkeypatch: pytest.MonkeyPatch, lost_at: int) -> None:
    """When the disk does not take it all, that is said, and it can be done again."""
    count = 0

    def fail(_: Flush, __: int) -> None:
        nonlocal count
        count += 1
        if count == lost_at:
            raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(Flush, "flush", fail)

    with pytest.raises(OSError, match="lost"):
        store.save_all(TWELVE)
    assert [lost_at == 2] * 12 == [store.exists(exam.pk) for exam in TWELVE]
    store.save_all(TWELVE)
    assert TWELVE == [store.load(exam.pk) for exam in TWELVE]


def test_nothing_is_written_after_an_error(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow disk files are written at once; when one fails, it is said when all have ended."""
    write = durable._write
    at_work: list[str] = []

    def slow(path: str, rest: bytes, *, is_synced: bool, how: int) -> os.stat_result:
        if path.endswith("/e5"):
            raise OSError(errno.ENOSPC, "no space left")
        at_work.append(path)
        time.sleep(0.05)
        seen = write(path, rest, is_synced=is_synced, how=how)
        at_work.remove(path)
        return seen

    monkeypatch.setattr(durable, "_write", slow)
    monkeypatch.setattr(durable, "SLOW_S", 0.0)
    monkeypatch.setattr(Flush, "is_wise", lambda *_: False)

    with pytest.raises(OSError, match="no space left"):
        store.save_all(TWELVE)
    assert [] == at_work
    assert [] == list((tmp_path / "exams/.tmp").iterdir())
    assert not any(store.exists(exam.pk) for exam in TWELVE)

    monkeypatch.setattr(durable, "_write", write)
    store.save_all(TWELVE)
    assert TWELVE == [store.load(exam.pk) for exam in TWELVE]
