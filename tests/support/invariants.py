"""
Invariants: what must hold whatever broke.

Seen from outside: from what the gateway acknowledged, from the files, from the log lines and from
Redis. None of the product's own judgement is used.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from support.stack import Answer, Stack
from support.waiting import wait_until

#: Keys that live without an end, and why. Any other key must expire by itself.
LIVES = {
    "invigil:commands": "the ledger; trimmed by age",
    "invigil:events": "bounded by its length",
    "invigil:counts": "four numbers",
    "invigil:metrics": "a number for each kind of what is counted; no label is a client's",
    "invigil:dead": "people empty it",
    "invigil:times": "what an entry's id does not tell; goes with the entry",
    "invigil:damaged": "one field for each damaged file, until it is mended",
    "invigil:deadlines": "one member for each open exam",
    "invigil:celery:_kombu.binding": "the names of the queues and of the workers' mailboxes",
    "invigil:celery:unacked": "Celery's own; emptied as tasks end",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A command that was answered 202."""

    command_id: str
    pk: str
    entry: str
    result: str | None


@dataclass(slots=True)
class Witness:
    """Sends commands, and remembers which were acknowledged."""

    stack: Stack
    acknowledged: list[Acknowledged] = field(default_factory=list)

    def start(self, pk: str, duration: int = 600) -> Answer:
        """Start an exam over HTTP."""
        return self._note(self.stack.post("/exams", {"pk": pk, "duration": duration}), None)

    def result(self, pk: str, status: str = "pass") -> Answer:
        """Report a result over HTTP."""
        answer = self.stack.post(f"/exams/{pk}/result", {"status": status})
        return self._note(answer, status)

    def _note(self, answer: Answer, result: str | None) -> Answer:
        if answer.status == 202:
            said = {name: answer.body[name] for name in ("command_id", "pk", "entry")}
            self.acknowledged.append(Acknowledged(**said, result=result))
        return answer

    def check(self, *, timeout_s: float = 30) -> None:
        """Wait until nothing is under way, and see that nothing was lost, doubled or misjudged."""
        wait_until(self._is_at_rest, timeout_s=timeout_s, saying="nothing is pending")
        self._nothing_was_lost()
        self._nothing_was_applied_twice()
        self._nobody_in_time_is_absent()
        self._states_were_said_once()
        redis = self.stack.redis()
        assert 0 == redis.xlen("invigil:dead")
        assert [] == endless_keys(redis)

    def _is_at_rest(self) -> bool:
        redis: Any = self.stack.redis()
        [group] = redis.xinfo_groups("invigil:commands")
        inboxes = list(redis.scan_iter("invigil:inbox:*"))
        return group["pending"] == 0 and group["lag"] in (0, None) and not inboxes

    def _history(self, pk: str) -> list[dict[str, Any]]:
        history: list[dict[str, Any]] = self.stack.document(pk)["history"]
        return history

    def _nothing_was_lost(self) -> None:
        lost = [
            one
            for one in self.acknowledged
            if one.command_id not in {record["command"] for record in self._history(one.pk)}
        ]
        assert [] == lost

    def _nothing_was_applied_twice(self) -> None:
        for pk in {one.pk for one in self.acknowledged}:
            applied = [h["command"] for h in self._history(pk) if h["verdict"] == "applied"]
            assert len(set(applied)) == len(applied)
            entries = [h["entry"] for h in self._history(pk)]
            assert len(set(entries)) == len(entries)
        counts = self.stack.redis().hgetall("invigil:counts")
        paths = self.stack.settings.exams.glob("*/*.json")
        history = [h for path in paths for h in json.loads(path.read_text())["history"]]
        moves = [record for record in history if record["verdict"] == "applied"]
        assert len(moves) == sum(int(count) for count in counts.values())

    def _nobody_in_time_is_absent(self) -> None:
        for path in self.stack.settings.exams.glob("*/*.json"):
            document = json.loads(path.read_text())
            in_time = [
                record
                for record in document["history"]
                if record["type"] == "exam.finish"
                and _moment(record["at"]) <= _moment(document["deadline"])
            ]
            assert not (document["status"] == "absent" and in_time), document
            corrected = [h for h in document["history"] if h["verdict"] == "corrected"]
            assert [] == corrected

    def _states_were_said_once(self) -> None:
        said: dict[tuple[int, str], list[str]] = {}
        for line in self.stack.lines():
            if line["event"] in ("unavailable", "available") and line["what"] != "lock":
                said.setdefault((line["pid"], line["what"]), []).append(line["event"])
        for events in said.values():
            turns = (["unavailable", "available"] * len(events))[: len(events)]
            assert turns == events


def endless_keys(redis: Any) -> list[str]:
    """Keys that neither expire nor have a reason to live."""
    queues = {f"invigil:celery:{name}" for name in ("exam", "mail", "slow")}
    return [
        name
        for name in sorted(key.decode() for key in redis.scan_iter("*"))
        if redis.ttl(name) == -1 and not name.startswith(tuple(LIVES)) and name not in queues
    ]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
