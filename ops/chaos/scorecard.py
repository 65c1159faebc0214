"""Scorecard: a run in numbers, for people and for programs."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ops.chaos.evidence import Evidence
from ops.chaos.judge import Violation, lateness_ms
from ops.chaos.ledger import Ledger
from ops.chaos.nemesis import Fault
from ops.log import printable

#: Violations that are shown one by one.
SHOWN = 10
#: Rules that the promise names; they are shown also when nothing broke them.
PROMISED = ("lost", "twice", "false absent", "early")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """What came of a run; `as_dict` for programs, `as_text` for people."""

    seed: int
    seconds: float
    ledger: Ledger
    faults: Sequence[Fault]
    evidence: Evidence
    violations: Sequence[Violation]

    def as_dict(self) -> dict[str, Any]:
        """Make one JSON object of it. Seconds throughout."""
        sent = self.ledger.sent
        broken = Counter(violation.rule for violation in self.violations)
        documents = self.evidence.documents.values()
        return {
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "sent": len(sent),
            "acknowledged": self.ledger.acknowledged,
            "fate_unknown": sum(not (one.entry or one.denied) for one in sent),
            "exams": dict(Counter(document["status"] for document in documents)),
            "echoes_printed": sum(self.evidence.printed.values()),
            "dead_letters": len(self.evidence.dead),
            "mails": sum(self.evidence.mails.values()),
            "mails_twice": sum(times - 1 for times in self.evidence.mails.values()),
            "kills": self._count("kill"),
            "freezes": self._count("freeze"),
            "recovery_s": self._recoveries(),
            "lateness_of_absent_s": _spread([ms / 1000 for ms in lateness_ms(self.evidence)]),
            "violations": {**dict.fromkeys(PROMISED, 0), **broken},
        }

    def as_text(self) -> str:
        """Make a table of it, and the first violations one by one."""
        card = self.as_dict()
        kills, freezes = card["kills"], card["freezes"]
        rows = [
            ("seed, seconds", f"{card['seed']}, {card['seconds']:.0f}"),
            ("acknowledged", f"{card['acknowledged']:,} of {card['sent']:,} sent"),
            ("exams", _listed(card["exams"])),
            ("echoes printed, dead letters", f"{card['echoes_printed']}, {card['dead_letters']}"),
            ("mails, of these twice", f"{card['mails']}, {card['mails_twice']}"),
            ("kills", f"{sum(kills.values())}: {_listed(kills)}"),
            ("freezes", f"{sum(freezes.values())}: {_listed(freezes)}"),
            ("lateness of absent, s", _listed(card["lateness_of_absent_s"])),
            *((f"recovery, s: {part}", _listed(s)) for part, s in card["recovery_s"].items()),
            *((f"violations: {rule}", f"{n}") for rule, n in card["violations"].items()),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"  {name:{width}}  {value}" for name, value in rows]
        lines += [
            f"  {one.rule}: {printable(one.what)}: {printable(one.seen)}"
            for one in self.violations[:SHOWN]
        ]
        if len(self.violations) > SHOWN:
            lines.append(f"  ... and {len(self.violations) - SHOWN} more")
        return "\n".join(lines)

    def _count(self, kind: str) -> dict[str, int]:
        return dict(Counter(fault.part for fault in self.faults if fault.kind == kind))

    def _recoveries(self) -> dict[str, dict[str, float]]:
        found: dict[str, list[float]] = defaultdict(list)
        for fault in self.faults:
            if fault.kind == "kill" and fault.recovered_s is not None:
                found[fault.part].append(fault.recovered_s)
        return {part: _spread(sorted(seconds)) for part, seconds in sorted(found.items())}


def _spread(in_order: Sequence[float]) -> dict[str, float]:
    """Middle, 99th percentile and largest of sorted values."""
    if not in_order:
        return {}
    last = len(in_order) - 1
    return {
        "p50": round(in_order[last // 2], 3),
        "p99": round(in_order[min(last, round(last * 0.99))], 3),
        "max": round(in_order[-1], 3),
    }


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"
