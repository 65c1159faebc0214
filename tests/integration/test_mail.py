"""The digest mail: once per slot, with the right counts, over real SMTP."""

import json
import mailbox
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from pathlib import Path

import pytest
from support.client import Client
from support.stack import Stack, environment, running
from support.users import as_worker
from support.waiting import wait_until

from ops import keys
from ops.celery_argv import beat_argv
from ops.preflight import free_port
from ops.settings import Settings
from tasks.mail import Bookmark, NoServer, deliver, locked, look, read_bookmark, write_bookmark

#: Seconds between two digests in these tests.
EVERY_S = 2


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, redis_url: str | None) -> Iterator[Stack]:
    """A system with a second beat beside its own."""
    folder = tmp_path_factory.mktemp("mail")
    with running(folder, redis_url=redis_url, mail_every=EVERY_S) as stack:
        env = {**stack.env, "INVIGIL_PART": "beat-2"}
        beat = subprocess.Popen(beat_argv(), env=env, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            yield stack
        finally:
            beat.terminate()
            beat.wait(20)


def mails(stack: Stack) -> list[EmailMessage]:
    """Read the mails so far, in the order of their slots."""
    folder = stack.settings.mail / "maildir"
    box = mailbox.Maildir(folder, factory=None, create=False)
    parsed = [_parse(box.get_bytes(name)) for name in box.keys()]  # noqa: SIM118 - it is no dict
    return sorted(parsed, key=lambda mail: str(mail["Message-ID"]))


def _parse(text: bytes) -> EmailMessage:
    message: Message = message_from_bytes(text, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def counted(stack: Stack) -> dict[str, int]:
    """Add up the counts in the subjects of all mails."""
    total: dict[str, int] = {}
    for mail in mails(stack):
        for part in str(mail["Subject"]).removeprefix("Invigil: ").split(", "):
            count, word = part.split()
            total[word] = total.get(word, 0) + int(count)
    return total


def test_counts(stack: Stack) -> None:
    """What started, passed, failed and was absent is counted once over all digests."""
    for number in range(3):
        stack.post("/exams", {"pk": f"m{number}", "duration": 1 if number == 2 else 60})
    stack.post("/exams/m0/result", {"status": "pass"})
    stack.post("/exams/m1/result", {"status": "fail"})

    expected = {"started": 3, "passed": 1, "failed": 1, "absent": 1}
    wait_until(lambda: counted(stack) == expected, saying="all four counted")
    slots = len(mails(stack))
    wait_until(lambda: len(mails(stack)) > slots, saying="one digest more")
    assert expected == counted(stack)


def test_text_and_html(stack: Stack) -> None:
    """A digest says the same in text and in HTML, and names its receiver."""
    mail = wait_until(lambda: mails(stack), saying="a digest")[0]

    assert "invigilator@localhost" == mail["To"]
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body is not None
        assert "started" in body.get_content()


def test_once_per_slot(stack: Stack) -> None:
    """Two beats make one mail per slot: every message id is there once."""
    wait_until(lambda: stack.lines("mail_skipped"), saying="the second beat asks, too")
    count = len(mails(stack))
    wait_until(lambda: len(mails(stack)) >= count + 3, saying="three digests more")

    ids = [str(mail["Message-ID"]) for mail in mails(stack)]
    assert len(set(ids)) == len(ids)


def test_no_slot_missed(stack: Stack) -> None:
    """A running system sends a digest for every slot."""
    wait_until(lambda: stack.lines("mail_skipped"), saying="the second beat asks, too")
    count = len(mails(stack))
    wait_until(lambda: len(mails(stack)) >= count + 3, saying="three digests more")

    slots = sorted(
        int(str(mail["Message-ID"]).split("-")[1].split("@")[0]) for mail in mails(stack)
    )
    assert list(range(slots[0], slots[-1] + 1, EVERY_S)) == slots


def test_green_worker(server: Settings, client: Client, tmp_path: Path) -> None:
    """A mail worker with green threads sends digests, too; nobody else takes its messages."""
    celery = [str(Path(sys.executable).with_name("celery")), "-A", "tasks"]
    port = str(free_port("127.0.0.1"))
    env = {
        **environment(tmp_path / "var", redis_url=f"{server.redis}?db=1"),
        "INVIGIL_SMTP_URL": f"smtp://127.0.0.1:{port}",
    }
    commands = {
        "sink": [sys.executable, "-m", "ops.cli", "sink", "--port", port],
        "green": [*celery, "worker", "-Q", "mail", "-P", "gevent"],
    }
    running = [
        subprocess.Popen(
            command, env={**env, "INVIGIL_PART": name}, cwd=tmp_path, stdout=subprocess.DEVNULL
        )
        for name, command in commands.items()
    ]
    log = tmp_path / "var" / "logs" / "green.jsonl"
    try:
        asks = {**env, "INVIGIL_PART": "asks"}
        subprocess.run([*celery, "call", "tasks.mail"], env=asks, cwd=tmp_path, check=True)
        wait_until(
            lambda: log.exists() and b"mail_sent" in log.read_bytes(), saying="it has sent a digest"
        )
    finally:
        for process in reversed(running):
            process.terminate()
            assert 0 == process.wait(30)


@pytest.fixture
def counts(client: Client) -> Client:
    """A Redis in which two exams have started."""
    for pk in ("a", "b"):
        data = json.dumps({"pk": pk, "status": "started"})
        client.xadd(keys.EVENTS, {"type": "exam.started", "data": data})
        client.hincrby(keys.COUNTS, "started")
    return client


def test_missed_slot_is_caught_up(counts: Client) -> None:
    """A digest tells of everything since the last one that went out, however long ago."""
    _, moved = look(as_worker(counts), None, slot_s=300)
    counts.hincrby(keys.COUNTS, "started", 5)

    digest, _ = look(as_worker(counts), moved, slot_s=3_000)

    assert 300 == digest.since_s
    assert 5 == digest.groups[0].count


def test_names(counts: Client) -> None:
    """A digest names the exams, each in one digest only; a refusal is no change."""
    data = json.dumps({"pk": "c", "status": "started"})
    counts.xadd(keys.EVENTS, {"type": "exam.refused", "data": data})
    digest, moved = look(as_worker(counts), None, slot_s=300)
    again, _ = look(as_worker(counts), moved, slot_s=600)

    assert ("a", "b") == digest.groups[0].pks
    assert () == again.groups[0].pks


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "exam.pass", "data": '{"pk": "x"}'},
        {"type": "exam.pass", "data": "[]"},
        {"type": "exam.pass", "data": "no json"},
        {"type": "exam.pass"},
        {"data": '{"pk": "x", "status": "pass"}'},
    ],
)
def test_strange_event(counts: Client, fields: dict[str, str]) -> None:
    """An event that none of ours has written keeps no digest from going out."""
    counts.xadd(keys.EVENTS, fields)

    digest, mark = look(as_worker(counts), None, slot_s=300)

    assert [group.pks for group in digest.groups if "x" in group.pks] == []
    assert mark.event == counts.xrevrange(keys.EVENTS, count=1)[0][0].decode()


def test_redis_began_anew(counts: Client) -> None:
    """When Redis lost its counters, the digest counts from its new beginning."""
    bookmark = Bookmark(slot_s=300, event="9999999999999-0", counts={"started": 100})

    digest, _ = look(as_worker(counts), bookmark, slot_s=600)

    assert 2 == digest.groups[0].count


def test_bookmark(tmp_path: Path) -> None:
    """The bookmark is on disk, and one that is damaged counts as none."""
    bookmark = Bookmark(slot_s=300, event="1-1", counts={"started": 1})
    assert read_bookmark(tmp_path) is None

    write_bookmark(tmp_path, bookmark)

    assert bookmark == read_bookmark(tmp_path)
    (tmp_path / "bookmark.json").write_text("{")
    assert read_bookmark(tmp_path) is None


def test_one_writer(tmp_path: Path) -> None:
    """While one digest goes out, a second task does not wait for it."""
    with locked(tmp_path) as first, locked(tmp_path) as second:
        assert (True, False) == (first, second)


@pytest.mark.parametrize("url", [None, "smtp://127.0.0.1:1"])
def test_no_mail_server(url: str | None) -> None:
    """A mail server that is not there is the world's fault, and says so."""
    with pytest.raises(NoServer, match=r"INVIGIL_SMTP_URL|refused"):
        deliver(EmailMessage(), smtp_url=url)
