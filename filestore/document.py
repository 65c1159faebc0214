"""Document: an exam as the JSON document on disk, for people, `jq`, and back."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from filestore.exam import Exam, Reason, Record, Verdict, stand
from filestore.fact import Fact, Status, Type

_encode = json.encoder.encode_basestring
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_STARTED_AT = re.compile(rb'"started_at": *"([^"]*)"')


class Damaged(ValueError):  # noqa: N818 - says what the file is
    """A file is not a document of ours; the message says what was seen."""


def to_text(exam: Exam) -> str:
    """
    Write the document of *exam*: times in ISO 8601, UTC, milliseconds; history oldest first.

    It has the form of ``json.dumps(..., ensure_ascii=False, indent=1)``, for a third of the time.
    """
    standing = exam.standing
    decided_ms = standing.decided_ms
    decided = "null" if decided_ms is None else f'"{iso(decided_ms)}"'
    history = ",\n".join([_to_entry(record) for record in exam.history])
    return f"""{{
 "pk": {_encode(exam.pk)},
 "status": "{standing.status}",
 "started_at": "{iso(standing.started_ms)}",
 "deadline": "{iso(standing.deadline_ms)}",
 "decided_at": {decided},
 "history": [
{history}
 ]
}}
"""


def from_document(document: object, *, pk: str) -> Exam:
    """
    Read back what `to_text` wrote, parsed; unknown fields are ignored.

    Raises:
        Damaged: Another shape, another exam's document, or a status that its history denies.
    """
    try:
        match document:
            case {"pk": str(found), "status": str(status), "history": [*entries]}:
                history = tuple(_from_entry(entry) for entry in entries)
            case _:
                raise Damaged("not an object with pk, status and history")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Damaged(f"history: {error}") from error
    standing = stand([record.fact for record in history])
    if found != pk:
        raise Damaged(f"the document of exam {found!r}")
    if standing is None or standing.status != status:
        seen = standing.status.value if standing else "no start"
        raise Damaged(f"status is {status!r}, its history says {seen!r}")
    return Exam(pk=pk, standing=standing, history=history)


def salvage_start(text: bytes) -> int | None:
    """Find, in what is left of a document, when its exam was started; None when it is not there."""
    found = _STARTED_AT.search(text)
    try:
        return from_iso(found[1].decode()) if found else None
    except ValueError:
        return None


def iso(ms: int) -> str:
    """Milliseconds since 1970 as ``2026-11-23T08:00:00.123Z``."""
    second_s, rest_ms = divmod(ms, 1000)
    return f"{_second(second_s)}.{rest_ms:03}Z"


def from_iso(text: str) -> int:
    """
    Read back what `iso` wrote, to the millisecond.

    Raises:
        ValueError: Not a time, or one without a zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return (moment - _EPOCH) // _MS


@lru_cache(maxsize=256)
def _second(second_s: int) -> str:
    """Write a moment up to its second; those of one exam, and of its neighbours, share a few."""
    return (_EPOCH + timedelta(seconds=second_s)).isoformat().removesuffix("+00:00")


def _to_entry(record: Record) -> str:
    fact = record.fact
    reason = "" if record.reason is None else f',\n   "reason": "{record.reason}"'
    source = "" if fact.source is None else f',\n   "source": {_encode(fact.source)}'
    task = "" if record.task is None else f',\n   "task": {_encode(record.task)}'
    return f"""  {{
   "at": "{iso(fact.at_ms)}",
   "entry": "{fact.entry}",
   "command": {_encode(fact.command)},
   "type": "{fact.type}",
   {_to_value(fact)},
   "verdict": "{record.verdict}"{reason}{source}{task}
  }}"""


def _to_value(fact: Fact) -> str:
    if fact.type is Type.START:
        return f'"duration": {fact.value}'
    if fact.type is Type.FINISH:
        return f'"status": "{fact.value}"'
    return f'"deadline": "{iso(int(fact.value))}"'


def _from_entry(entry: Mapping[str, Any]) -> Record:
    kind = Type(entry["type"])
    reason, task = entry.get("reason"), entry.get("task")
    fact = Fact(
        at_ms=from_iso(entry["at"]),
        entry=entry["entry"],
        command=entry["command"],
        source=entry.get("source"),
        type=kind,
        value=_value(kind, entry),
    )
    return Record(
        fact=fact,
        verdict=Verdict(entry["verdict"]),
        reason=None if reason is None else Reason(reason),
        task=None if task is None else str(task),
    )


def _value(kind: Type, entry: Mapping[str, Any]) -> Any:
    if kind is Type.START:
        return entry["duration"]
    if kind is Type.FINISH:
        return Status(entry["status"]).value
    return from_iso(entry["deadline"])
