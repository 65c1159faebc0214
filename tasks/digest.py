"""Digest: what changed since the last mail, and the mail that says so. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from filestore.fact import Status
from ops.chain import Head
from ops.log import printable

#: Exams that are named per status; the rest is a number.
NAMED = 200
#: How the mail says each status.
WORDS = {
    Status.STARTED: "started",
    Status.PASS: "passed",
    Status.FAIL: "failed",
    Status.ABSENT: "absent",
}

_templates = Environment(
    loader=PackageLoader("tasks"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The changes to one status: how many, and the first few by name."""

    word: str
    count: int
    pks: tuple[str, ...]

    @property
    def unnamed(self) -> int:
        """How many more there are than *pks* names."""
        return max(0, self.count - len(self.pks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What changed between two moments. *since_s* is None in the first mail ever."""

    slot_s: int
    since_s: int | None
    groups: tuple[Group, ...]


def make_digest(
    *,
    slot_s: int,
    since_s: int | None,
    before: Mapping[str, int],
    now: Mapping[str, int],
    named: Sequence[tuple[str, str]],
) -> Digest:
    """
    Count what changed between two readings of the counters.

    Args:
        before: Status to number of changes, as the last mail found it.
        now: The same, at present. Smaller than before: Redis began anew, and so do we.
        named: Pairs of status and pk, oldest first, as far as the events still hold them.
    """
    groups = tuple(
        Group(
            word=WORDS[status],
            count=_grown(before.get(status, 0), now.get(status, 0)),
            pks=tuple(printable(pk) for name, pk in named if name == status)[:NAMED],
        )
        for status in Status
    )
    return Digest(slot_s=slot_s, since_s=since_s, groups=groups)


def write_mail(
    digest: Digest, *, sender: str, receiver: str, heads: Sequence[Head] = ()
) -> EmailMessage:
    """
    Write the mail, in text and HTML.

    *heads* go along, so that a mailbox which nobody on this machine can edit has a mark of each
    process' log: `invigil audit --anchors` finds out whether a line before it was changed since.

    Its Message-ID is made from the slot: should a mail server get it twice, because the answer
    to the first try was lost, it can see that it is the same one.
    """
    values = {
        "digest": digest,
        "slot": _utc(digest.slot_s),
        "since": _since(digest),
        "heads": heads,
    }
    host = sender.rpartition("@")[2]
    mail = EmailMessage()
    mail["Subject"] = f"Invigil: {summary(digest)}"
    mail["From"] = sender
    mail["To"] = receiver
    mail["Date"] = format_datetime(datetime.fromtimestamp(digest.slot_s, UTC))
    mail["Message-ID"] = f"<digest-{digest.slot_s}@{host}>"
    mail.set_content(_templates.get_template("digest.txt").render(values))
    mail.add_alternative(_templates.get_template("digest.html").render(values), subtype="html")
    return mail


def summary(digest: Digest) -> str:
    """Say it in one line: ``3 started, 1 passed, 1 failed, 0 absent``."""
    return ", ".join(f"{group.count} {group.word}" for group in digest.groups)


def _grown(before: int, now: int) -> int:
    return now - before if now >= before else now


def _since(digest: Digest) -> str | None:
    return None if digest.since_s is None else _utc(digest.since_s)


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
