"""Evidence: what a run left behind, read from files, logs and Redis as anyone could."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import redis

from ops import keys
from ops.audit.wording import singles
from ops.portions import portions
from ops.private_stack import Stack

#: Inboxes that are asked for at once.
INBOXES = 1_000


@dataclass(slots=True, kw_only=True)
class Evidence:
    """
    What there is to judge by.

    Attributes:
        documents: pk -> the exam's document.
        damaged: Files that are none.
        dead: Entry id -> reasons for which it was buried.
        counts: Status -> changes that the system counted.
        printed: Command id of an echo -> how often it was printed.
        absent_at_ms: pk -> when the log says that `absent` was on the disk.
        left: What was not brought to an end, in words.
        mails: Message-ID -> how often it came.
    """

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    dead: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    printed: Counter[str] = field(default_factory=Counter)
    absent_at_ms: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    mails: Counter[str] = field(default_factory=Counter)


def collect(stack: Stack, client: "redis.Redis", pks: Collection[str]) -> Evidence:
    """Read all of it; the system is at rest. The exams are *pks*."""
    evidence = Evidence(left=what_is_left(client, pks), dead=_dead(client))
    counts: Any = client.hgetall(keys.COUNTS)
    evidence.counts = {status.decode(): int(number) for status, number in counts.items()}
    for path in stack.settings.exams.glob("[0-9a-f][0-9a-f]/*.json"):
        try:
            evidence.documents[path.stem] = json.loads(path.read_bytes())
        except ValueError as error:
            evidence.damaged.append(f"{path}: {error}")
    for line in _lines(stack.settings.logs, "worker-slow*.jsonl", b'"echo_printed"'):
        evidence.printed[line["command_id"]] += 1
    for line in _lines(stack.settings.logs, "worker-exam*.jsonl", b'"exam.expire"'):
        for one in singles(line):
            if one["event"] == "applied":
                at_ms = round(datetime.fromisoformat(one["ts"]).timestamp() * 1000)
                known_ms = evidence.absent_at_ms.get(one["pk"], at_ms)
                evidence.absent_at_ms[one["pk"]] = min(at_ms, known_ms)
    for path in (stack.settings.mail / "maildir" / "new").glob("*"):
        text = path.read_text(errors="replace")
        evidence.mails[text.partition("Message-ID:")[2].split("\n")[0].strip()] += 1
    return evidence


def what_is_left(client: "redis.Redis", pks: Collection[str]) -> list[str]:
    """Say what of the exams *pks* is not at its end; empty when the system is at rest."""
    left = []
    with client.pipeline(transaction=True) as pipeline:
        pipeline.xpending(keys.COMMANDS, keys.GROUP)
        pipeline.xinfo_groups(keys.COMMANDS)
        pipeline.zcard(keys.DEADLINES)
        pending, groups, deadlines = pipeline.execute()
    if pending["pending"]:
        left.append(f"{pending['pending']} entries pending")
    if groups[0]["lag"]:
        left.append(f"{groups[0]['lag']} entries not read")
    if deadlines:
        left.append(f"{deadlines} deadlines to come")
    names = [keys.inbox(pk) for pk in pks]
    inboxes = sum(int(client.exists(*some)) for some in portions(names, INBOXES))
    return [*left, f"{inboxes} inboxes"] if inboxes else left


def _dead(client: "redis.Redis") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    letters: Any = client.xrange(keys.DEAD)
    for _, fields in letters:
        reason = fields[b"reason"].decode(errors="replace")
        found.setdefault(fields[b"entry"].decode(), []).append(reason)
    return found


def _lines(folder: Path, pattern: str, mark: bytes) -> Iterator[dict[str, Any]]:
    """Read the log lines that hold *mark*; the others are not even parsed."""
    for path in folder.glob(pattern):
        with path.open("rb") as file:
            for line in file:
                if mark in line:
                    yield json.loads(line)
