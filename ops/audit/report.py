"""Report: an audit's result, for machines and for people."""

from collections.abc import Mapping
from typing import Any

from ops.audit.audit import Audit
from ops.audit.findings import NOTES, RULES
from ops.log import printable

#: Examples that people are shown of each rule, and of each note.
SHOWN, SHOWN_NOTES = 10, 3


def make(audit: Audit, sizes: Mapping[str, int], *, compared: int | None) -> dict[str, Any]:
    """
    Make the report of an audit that has ended.

    Args:
        sizes: Input -> bytes.
        compared: How many exams' files were compared; None if none were asked for.
    """
    found, statistics = audit.findings, audit.statistics
    counts = audit.ledger.counts
    return {
        "proven": found.is_proven,
        "violations": {
            name: {"count": one.count, "means": RULES[name], "examples": one.examples}
            for name, one in found.in_order()
        },
        "notes": {
            name: {"count": one.count, "means": NOTES[name], "examples": one.examples}
            for name, one in found.notes.items()
        },
        "from": audit.first_ts,
        "to": audit.last_ts,
        "inputs": dict(sizes),
        "lines": audit.lines,
        "processes": len(audit.integrity.chains),
        "commands": {name: counts[name] for name in ("accepted", "dispatched", "fired", "buried")},
        "verdicts": {
            name: counts[name] for name in ("applied", "duplicate", "refused", "corrected")
        },
        "exams": statistics.exams(),
        "echoes printed": counts["echoes printed"],
        "mails": counts["mails"],
        "absent late ms": {
            "p50": statistics.late_ms(0.5),
            "p99": statistics.late_ms(0.99),
            "max": statistics.latest_ms,
        },
        "files compared": compared,
    }


def for_people(report: Mapping[str, Any]) -> str:
    """Write the report as a text."""
    lines = [_headline(report), ""]
    lines += [f"  {name:<12} {printable(value)}" for name, value in _facts(report).items()]
    for kind, shown in (("violations", SHOWN), ("notes", SHOWN_NOTES)):
        if report[kind]:
            lines += ["", f"{kind}:"]
        for name, one in report[kind].items():
            lines.append(f"  {one['count']:>7,}  {name}: {one['means']}")
            lines += [f"             {printable(text)}" for text in one["examples"][:shown]]
            if (more := one["count"] - shown) > 0 and one["examples"]:
                lines.append(f"             ... and {more:,} more")
    return "\n".join(lines)


def _headline(report: Mapping[str, Any]) -> str:
    if report["proven"]:
        removed = report["notes"].get("removed", {"count": 0})["count"]
        what = f" for what is left; {removed:,} files were removed" if removed else ""
        return f"proven: every rule holds{what}"
    broken = report["violations"]
    total = sum(one["count"] for one in broken.values())
    return f"NOT proven: {total:,} violations of {len(broken)} rules"


def _facts(report: Mapping[str, Any]) -> dict[str, str]:
    late = report["absent late ms"]
    size = sum(report["inputs"].values())
    facts = {
        "log": f"{report['lines']:,} lines, {size / 1e6:,.1f} MB, {len(report['inputs'])} inputs",
        "time": f"{report['from']} to {report['to']}",
        "processes": f"{report['processes']:,}",
        "commands": _listed(report["commands"]),
        "verdicts": _listed(report["verdicts"]),
        "exams": _listed(report["exams"]),
        "others": f"{report['echoes printed']:,} echoes printed, {report['mails']:,} mails",
    }
    if late["p50"] is not None:
        p50, p99, most = (f"{value:,.0f}" for value in (late["p50"], late["p99"], late["max"]))
        facts["absent"] = f"after the deadline by p50 {p50}, p99 {p99}, at most {most} ms"
    if report["files compared"] is not None:
        facts["files"] = f"{report['files compared']:,} compared with the log"
    return facts


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
