"""The disk fills up, or becomes read-only: work waits, and goes on by itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.invariants import Witness
from support.small_disk import SmallDisk, mounted
from support.stack import Stack, environment, running
from support.waiting import wait_until


@pytest.fixture(scope="module")
def data_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """The disk with logs and the embedded Redis."""
    with mounted(tmp_path_factory.mktemp("disk") / "var", size="8m") as disk:
        yield disk


@pytest.fixture(scope="module")
def exam_disk(data_disk: SmallDisk) -> Iterator[SmallDisk]:
    """The disk with the exams."""
    with mounted(data_disk.folder / "exams", size="2m") as disk:
        yield disk


@pytest.fixture(scope="module")
def stack(exam_disk: SmallDisk, redis_url: str | None) -> Iterator[Stack]:
    """A system on both."""
    folder = exam_disk.folder.parents[1]
    # Nobody is turned away because a disk is small: here they are, and fill up.
    with running(folder, redis_url=redis_url, mail_every=3600, min_disk=0) as stack:
        yield stack


@pytest.fixture(scope="module")
def witness(stack: Stack) -> Witness:
    """Who remembers what was acknowledged."""
    return Witness(stack)


def rung_again(stack: Stack, pk: str) -> bool:
    """Whether a command of the exam was delivered a second time."""
    return bool(stack.lines("dispatched", pk=pk, redelivered=True))


def test_full_disk(stack: Stack, exam_disk: SmallDisk, witness: Witness) -> None:
    """What comes while the exams' disk is full is applied when it is not; an exam whose deadline
    passes meanwhile keeps the result that was in time."""
    witness.start("full-before", duration=6)
    wait_until(lambda: stack.document("full-before"), saying="started")
    exam_disk.fill()

    assert 202 == witness.result("full-before").status
    assert 202 == witness.start("full-meanwhile").status
    wait_until(lambda: stack.lines("unavailable", what="disk"), saying="it is said")
    wait_until(lambda: stack.lines("deadline_fired", pk="full-before"), saying="time is over")
    wait_until(lambda: rung_again(stack, "full-meanwhile"), saying="it was tried twice")
    assert stack.document("full-meanwhile") is None
    assert "started" == stack.document("full-before")["status"]
    exam_disk.free()

    wait_until(lambda: stack.has_status("full-before", "pass"), saying="pass")
    wait_until(lambda: stack.document("full-meanwhile"), saying="started")
    wait_until(lambda: stack.lines("available", what="disk"), saying="it is said, too")
    assert not stack.lines("unavailable", what="lock")
    witness.check()


def test_read_only_disk(stack: Stack, exam_disk: SmallDisk, witness: Witness) -> None:
    """While the exams' disk is read-only they can be read; what comes is applied afterwards."""
    witness.start("ro-before")
    wait_until(lambda: stack.document("ro-before"), saying="started")
    said = len(stack.lines("unavailable", what="disk"))
    exam_disk.remount("ro")

    assert 202 == witness.result("ro-before").status
    wait_until(lambda: len(stack.lines("unavailable", what="disk")) > said, saying="it is said")
    assert 200 == stack.get("/exams/ro-before").status
    exam_disk.remount("rw")

    wait_until(lambda: stack.has_status("ro-before", "pass"), saying="pass")
    witness.check()


def test_full_data_folder(stack: Stack, data_disk: SmallDisk, witness: Witness) -> None:
    """When logs and Redis have no room either, commands get 503, and all goes on with room."""
    if not stack.settings.is_embedded:
        pytest.skip("the server's files lie elsewhere")
    witness.start("data-before", duration=3)
    wait_until(lambda: stack.document("data-before"), saying="started")
    data_disk.fill()

    wait_until(
        lambda: witness.start("data-no").status == 503,
        saying="Redis has met its disk",
    )
    assert 503 == stack.get("/readyz").status
    wait_until(lambda: stack.lines("unavailable", what="log"), saying="lost lines are said")
    data_disk.free()

    wait_until(lambda: stack.get("/readyz").status == 200, saying="ready again")
    wait_until(lambda: witness.start("data-after").status == 202, saying="taken")
    wait_until(lambda: stack.has_status("data-before", "absent"), saying="absent")
    wait_until(lambda: stack.lines("available", what="log"), saying="log is back")
    witness.check()


@pytest.mark.skipif(os.getuid() == 0, reason="permissions do not bind root")
def test_lost_permission(tmp_path: Path, redis_url: str | None) -> None:
    """While nobody may write where the exams lie, what comes waits; it is applied afterwards."""
    with running(tmp_path, redis_url=redis_url, mail_every=3600) as stack:
        witness = Witness(stack)
        lock = stack.settings.exams / ".lock"
        lock.touch()
        lock.chmod(0o400)
        witness.start("permission")
        wait_until(lambda: stack.lines("unavailable", what="disk"), saying="it is said")
        lock.chmod(0o600)

        wait_until(lambda: stack.document("permission"), saying="started")
        witness.check()


@pytest.mark.parametrize(("how", "code"), [("small", 1), ("full", 1), ("ro", 2)])
def test_up_without_room(tmp_path: Path, how: str, code: int) -> None:
    """Started on a disk without room, or read-only, `up` says so in one line and ends."""
    with mounted(tmp_path / "disk", size="64k") as disk:
        if how == "full":
            disk.fill()
        elif how == "ro":
            disk.remount("ro")
        shown = subprocess.run(
            [sys.executable, "-m", "ops.cli", "up"],
            env=environment(disk.folder / "var", redis_url=None),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    assert (code, 1) == (shown.returncode, len(shown.stderr.splitlines()))
    assert "INVIGIL_DATA" in shown.stderr
