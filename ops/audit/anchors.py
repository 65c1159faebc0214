"""Anchors: heads of chains, written where nobody who edits a log can reach them."""

import email
import email.policy
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ops.chain import HEADS, Head, Register

#: A head as `str` writes it, in a mail or for `invigil audit anchor`.
_HEAD = re.compile(r"\b([0-9a-f]{16}) +(\d{1,18}) +([0-9a-f]{32}) +(\S{1,64}) +(\d{1,10})\b")


def heads_in(text: str) -> Iterator[Head]:
    """Find the heads in a text."""
    for chain, seq, digest, part, pid in _HEAD.findall(text):
        yield Head(chain=chain, seq=int(seq), head=digest, part=part, pid=int(pid))


def read(path: Path) -> list[Head]:
    """
    Read the heads from mails or from what was printed: a file, or a folder such as a Maildir.

    Raises:
        OSError: It cannot be read.
    """
    if path.is_dir():
        files = [one for one in sorted(path.rglob("*")) if one.is_file()]
        return [head for one in files for head in read(one)]
    return list(heads_in(_text(path.read_bytes())))


def registers(logs: Iterable[Path]) -> Iterator[tuple[Head, bool]]:
    """Read the heads beside log files, and say of each whether its process has ended."""
    for folder in dict.fromkeys(path.parent for path in logs):
        register = Register(folder / HEADS)
        alive = register.alive()
        for head in register.heads():
            if head.seq:
                yield head, head.chain not in alive


def _text(content: bytes) -> str:
    """Read a file as it is, and if it is a mail its text too, however that was wrapped."""
    plain = content.decode("utf-8", "replace")
    if b"\nSubject:" not in content[:65536] and not content.startswith(b"Subject:"):
        return plain
    mail = email.message_from_bytes(content, policy=email.policy.default)
    body = mail.get_body(("plain",))
    try:
        return body.get_content() if body else plain
    except (LookupError, ValueError):
        return plain
