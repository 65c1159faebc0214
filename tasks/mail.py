"""Mail: the digest that goes out once per slot, whoever asks for it and how often."""

import fcntl
import json
import os
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from celery import Task
from redis import Redis

from filestore.durable import replace_file
from ops import keys, outage, tally
from ops.chain import HEADS, Register
from ops.connect import is_away
from ops.events import Event
from tasks.app import MAIL_TASK, app, redis_client, settings
from tasks.digest import NAMED, Digest, make_digest, summary, write_mail
from tasks.slots import slot_of

#: Seconds for each step of talking to the mail server.
SMTP_TIMEOUT_S = 10
#: Heads of log chains in one mail: those of the processes that run, and of some that ended.
MOST_HEADS = 200
#: Seconds between two tries: doubling up to this.
LONGEST_WAIT_S = 60

#: Type of the events that tell of no change.
REFUSED = b"exam.refused"

log = structlog.get_logger()


class NoServer(Exception):  # noqa: N818 - says what is missing
    """The mail server is away, or does not take the mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """
    How far the last digest went; it lies beside the mails, on disk.

    Attributes:
        slot_s: Its slot, in seconds since 1970.
        event: Id of the last event it took into account.
        counts: Status to number of changes, as it found them.
    """

    slot_s: int
    event: str = "0-0"
    counts: dict[str, int] = field(default_factory=dict)


@app.task(name=MAIL_TASK, bind=True, max_retries=None)
def mail(task: Task, slot_s: int | None = None) -> None:
    """
    Send the digest of a slot, unless it has gone out.

    Args:
        slot_s: The slot that a retry is for; None: the one of this moment.

    A mail server that is away is tried again until the next slot's digest takes over, which
    covers everything since the last one that went out.
    """
    redis = redis_client()
    try:
        current_s = slot_of(now_s(redis), every_s=settings.mail_every)
        slot_s = current_s if slot_s is None else slot_s
        if slot_s < current_s:
            log.info(Event.MAIL_SKIPPED, slot_s=slot_s, reason="a later slot has begun")
            return
        with locked(settings.mail) as is_mine:
            if is_mine:
                send_once(redis, slot_s=slot_s)
            else:
                log.info(Event.MAIL_SKIPPED, slot_s=slot_s, reason="it is going out")
    except Exception as error:
        if not note(error):
            raise
        if isinstance(error, NoServer):
            tally.note(redis, tally.field(tally.MAILS, "failed"))
        raise task.retry(kwargs={"slot_s": slot_s}, countdown=wait_s(task), exc=error) from error


def note(error: Exception) -> bool:
    """Say once which part of the world was away; False when the error is none of its."""
    match error:
        case NoServer():
            outage.MAIL.went_on(error)
        case OSError():
            outage.DISK.went_on(error)
        case _ if is_away(error):
            outage.REDIS.went_on(error)
        case _:
            return False
    return True


def send_once(redis: Redis, *, slot_s: int) -> None:
    """Send the digest of a slot and move the bookmark. Call under the lock."""
    bookmark = read_bookmark(settings.mail)
    if bookmark and bookmark.slot_s >= slot_s:
        log.info(Event.MAIL_SKIPPED, slot_s=slot_s, reason="it has gone out")
        return
    digest, moved = look(redis, bookmark, slot_s=slot_s)
    message = write_mail(
        digest,
        sender=settings.mail_from,
        receiver=settings.mail_to,
        heads=Register(settings.logs / HEADS).heads()[:MOST_HEADS],
    )
    outage.REDIS.ended()
    deliver(message, smtp_url=settings.smtp_url)
    outage.MAIL.ended()
    write_bookmark(settings.mail, moved)
    outage.DISK.ended()
    tally.note(redis, tally.field(tally.MAILS, "sent"))
    log.info(Event.MAIL_SENT, slot_s=slot_s, summary=summary(digest))


def look(redis: Redis, bookmark: Bookmark | None, *, slot_s: int) -> tuple[Digest, Bookmark]:
    """Read counters and events in one step, so that they tell of the same moment."""
    last = bookmark or Bookmark(slot_s=0)
    with redis.pipeline(transaction=True) as pipeline:
        pipeline.hgetall(keys.COUNTS)
        pipeline.xrange(keys.EVENTS, min=f"({last.event}", count=4 * NAMED)
        pipeline.xrevrange(keys.EVENTS, count=1)
        counts, events, newest = pipeline.execute()
    now = {name.decode(): int(count) for name, count in counts.items()}
    digest = make_digest(
        slot_s=slot_s,
        since_s=bookmark.slot_s if bookmark else None,
        before=last.counts,
        now=now,
        named=[named for _, fields in events if (named := _named(fields))],
    )
    event = newest[0][0].decode() if newest else "0-0"
    return digest, Bookmark(slot_s=slot_s, event=event, counts=now)


def deliver(message: EmailMessage, *, smtp_url: str | None) -> None:
    """
    Hand a mail to the server.

    Raises:
        NoServer: None is set, it cannot be reached, or it did not take the mail.
    """
    if smtp_url is None:
        raise NoServer("INVIGIL_SMTP_URL is not set, and no `invigil up` runs a sink")
    url = urlsplit(smtp_url)
    try:
        with _connection(url.scheme, url.hostname or "localhost", url.port) as server:
            if url.scheme == "smtp+starttls":
                server.starttls(context=ssl.create_default_context())
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(message)
    except OSError as error:  # an SMTPException is one
        raise NoServer(f"{type(error).__name__}: {error}") from error


def now_s(redis: Redis) -> float:
    """Read Redis' clock, in seconds since 1970."""
    seconds, microseconds = redis.time()
    return float(seconds + microseconds / 1_000_000)


def wait_s(task: Task) -> int:
    """Seconds until the next try."""
    return int(min(2 ** int(task.request.retries), LONGEST_WAIT_S))


def read_bookmark(folder: Path) -> Bookmark | None:
    """Read where the last digest ended; None before the first one, and when it is damaged."""
    path = folder / "bookmark.json"
    try:
        return Bookmark(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        log.warning(Event.BOOKMARK_DAMAGED, path=str(path), error=str(error))
        return None


def write_bookmark(folder: Path, bookmark: Bookmark) -> None:
    """Put the bookmark on the disk."""
    text = json.dumps(asdict(bookmark), indent=1) + "\n"
    replace_file(folder / "bookmark.json", text, temporary=folder / "bookmark.tmp")


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """
    Let one digest at a time be written; the kernel lets go when its writer dies.

    Yields whether the lock is ours. Nobody waits for it: a green thread that did would stop the
    one that holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _connection(scheme: str, host: str, port: int | None) -> smtplib.SMTP:
    if scheme == "smtps":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, port or 465, timeout=SMTP_TIMEOUT_S, context=context)
    default = 587 if scheme == "smtp+starttls" else 25
    return smtplib.SMTP(host, port or default, timeout=SMTP_TIMEOUT_S)


def _named(fields: dict[bytes, bytes]) -> tuple[str, str] | None:
    """Read status and pk; None for what tells of no change, or was written by none of us."""
    try:
        data: dict[str, Any] = json.loads(fields[b"data"])
        return None if fields[b"type"] == REFUSED else (str(data["status"]), str(data["pk"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
