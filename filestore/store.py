"""Store: one durable JSON file per exam, and a lock per exam."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from filestore.document import Damaged, from_document, to_text
from filestore.durable import NewFile, read_file, replace_files, sync_folder
from filestore.exam import Exam
from filestore.fact import Status
from filestore.index import Index, boot_of_machine
from filestore.lock import LOCK_WAIT_S, Locked, held, held_together
from filestore.name import checked, is_name, shard_of
from filestore.row import row_of, to_line
from filestore.spares import Spares

#: End of the name of a file that is being written: no pattern for documents matches it.
TEMPORARY = ".tmp"
#: Exams whose files' places are kept in mind: what is worked on, several times over.
KNOWN = 4_096


class Store:
    """
    Exams under one root: ``<root>/<shard>/<pk>.json``.

    Beside them ``.tmp`` with what is being written, ``.lock`` whose bytes are the exams' locks,
    ``.damaged`` with files that were none of ours, ``.spare`` with files for the next documents,
    and ``.open`` with each open exam's first document, perhaps a decided one's, by a second name.

    A reader needs no lock: it sees the old document or the new one. A writer holds the exam's.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tmp = root / ".tmp"
        self._lock = root / ".lock"
        self._open, self._damaged = root / ".open", root / ".damaged"
        self._known: set[str] = set()
        boot = boot_of_machine()
        self._spares = Spares(root / ".spare", boot=boot)
        self._folder = lru_cache(KNOWN)(lambda pk: f"{root}/{shard_of(pk)}")
        self.index = Index(root, path=self._where, boot=boot)

    def prepare(self) -> int:
        """
        Make folders and index, put folders on the disk, remove what killed writers left behind.

        Returns:
            Number of files removed. A file whose writer is alive holds its lock, and stays.
        """
        self._make_folders()
        self._spares.prepare()
        self.index.prepare()
        return sum(self._sweep(path) for path in list(self._tmp.iterdir()) if path.is_file())

    def path(self, pk: str) -> Path:
        """File of an exam."""
        return Path(self._where(pk))

    def exists(self, pk: str) -> bool:
        """
        Whether the exam has been started.

        Raises:
            OSError: The disk does not say; False would turn away a result that was in time.
        """
        try:
            os.stat(self._where(pk))  # noqa: PTH116 - a third of what Path takes
        except FileNotFoundError:
            return False
        return True

    def read(self, pk: str) -> bytes | None:
        """Read the document as it lies on disk; None when there is no such exam."""
        if not is_name(pk):
            return None
        try:
            return read_file(self._where(pk))
        except FileNotFoundError:
            return None

    def load(self, pk: str) -> Exam | None:
        """
        Read an exam; None when there is none.

        Raises:
            Damaged: The file is not a document of ours. It is left as it is.
            OSError: The disk did not give it.
        """
        text = self.read(pk)
        return None if text is None else self._parse(text, pk=pk)

    def read_whole(self, pk: str) -> bytes | None:
        """
        Read the document as it lies on disk, and see that it is one; None when there is none.

        Raises:
            Damaged: The file is not a document of ours.
            OSError: The disk did not give it.
        """
        text = self.read(pk)
        if text is not None:
            self._parse(text, pk=pk)
        return text

    def set_aside(self, pk: str, *, at_ms: int) -> Path:
        """
        Keep what lies in an exam's place, under a second name, before `save` puts a document there.

        Returns:
            The second name: ``<root>/.damaged/<pk>.<at_ms>``.
        """
        kept = self._damaged / f"{pk}.{at_ms}"
        self._damaged.mkdir(exist_ok=True)
        kept.hardlink_to(self.path(pk))
        sync_folder(self._damaged)
        sync_folder(self._root)
        return kept

    def save(self, exam: Exam) -> None:
        """
        Write an exam so that after a crash at any moment its file is the old one or the new one.

        On return the new one is on the disk: file, then its name. Call under the exam's lock.

        Raises:
            ValueError: No exam can be called so. No door lets one in; this is the last one.
            OSError: The disk did not take it. The old document stands, or the new one does and
                may not be safe yet: `sync` makes it so.
        """
        self.save_all([exam])

    def save_all(self, exams: Sequence[Exam]) -> None:
        """
        Write several exams as `save` writes one, in less time than one after the other.

        Call under the locks of all of them. Raises as `save` does; then some may be on the disk.
        """
        files = [
            NewFile(
                folder=self._folder(checked(exam.pk)),
                name=f"{exam.pk}.json",
                text=to_text(exam),
                temporary=f"{self._tmp}/{exam.pk}{TEMPORARY}",
                spares=self._spares,
                listed=f"{self._open}/{exam.pk}" if len(exam.history) == 1 else None,
            )
            for exam in exams
        ]
        folders = {file.folder for file in files}
        for folder in folders - self._known:
            self._make_shard(Path(folder))
        opened = [exam for exam in exams if exam.standing.status is Status.STARTED]
        self._list_as_open(exam.pk for exam in opened if len(exam.history) > 1)
        try:
            replace_files(files, before=[self._open] if opened else [])
        except OSError:
            self._known.clear()  # somebody may have removed a folder: look again, the next time
            raise
        self._known |= folders
        saved = list(zip(exams, files, strict=True))  # noted last: a repeat finds the files
        for exam, file in saved:
            if exam.standing.status is not Status.STARTED:
                self.close(exam.pk, is_spare=file.was_listed)
        self.index.note(*(to_line(row_of(exam), file.stat) for exam, file in saved if file.stat))

    def open_exams(self) -> Iterator[str]:
        """Name the open exams, in no order, without reading them."""
        with suppress(FileNotFoundError), os.scandir(self._open) as entries:
            for entry in entries:
                yield entry.name

    def close(self, pk: str, *, is_spare: bool = False) -> None:
        """Take an exam off the list of open ones; what was there is old. Call under its lock."""
        if is_spare:
            self._spares.give(f"{self._open}/{pk}")
            return
        with suppress(FileNotFoundError):
            os.unlink(f"{self._open}/{pk}")  # noqa: PTH108 - a third of what Path takes

    def sync(self, pk: str) -> None:
        """
        Put the name of an exam's document on the disk, and note it for the index.

        Its content is on the disk before its name.

        Raises:
            OSError: The disk did not take it.
        """
        sync_folder(self._folder(pk))
        self.index.note(pk)

    @contextmanager
    def lock(self, pk: str, *, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """
        Hold the exam against every other thread, process, and host that shares the disk.

        The kernel lets go of it when the holder dies.

        Raises:
            Locked: Somebody else holds it for longer than *wait_s* seconds.
        """
        self._see_to_folders()
        with held(self._lock, pk, wait_s=wait_s):
            yield

    @contextmanager
    def lock_together(self, pks: Iterable[str]) -> Iterator[list[str]]:
        """Hold those of several exams that nobody else holds, and yield their names."""
        self._see_to_folders()
        with held_together(self._lock, pks) as ours:
            yield ours

    def _where(self, pk: str) -> str:
        return f"{self._folder(pk)}/{pk}.json"

    def _see_to_folders(self) -> None:
        if not self._tmp.is_dir():
            self._make_folders()  # the disk was not there at the start, or somebody cleared it

    def _parse(self, text: bytes, *, pk: str) -> Exam:
        try:
            return from_document(json.loads(text), pk=pk)
        except (ValueError, RecursionError) as error:
            raise Damaged(f"{self.path(pk)}: {error}") from error

    def _sweep(self, leftover: Path) -> bool:
        try:
            with self.lock(leftover.name.removesuffix(TEMPORARY), wait_s=0):
                leftover.unlink(missing_ok=True)
        except Locked:
            return False
        return True

    def _make_folders(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        self._open.mkdir(exist_ok=True)
        for shard in range(256):
            (self._root / f"{shard:02x}").mkdir(exist_ok=True)
        sync_folder(self._root)
        sync_folder(self._root.parent)
        self._tmp.mkdir(exist_ok=True)  # last: where it is, all the others are on the disk

    def _list_as_open(self, pks: Iterable[str]) -> None:
        """List them before their documents say so: a crash leaves one too many, never one less."""
        for pk in pks:
            os.close(os.open(f"{self._open}/{pk}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640))

    def _make_shard(self, folder: Path) -> None:
        """Make it if somebody has removed it. Who made an empty one may not have lived to sync."""
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
        with os.scandir(folder) as entries:
            is_empty = next(entries, None) is None
        if is_empty:
            sync_folder(self._root)
