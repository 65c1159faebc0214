"""Paged: an audit's result in the shape of its page."""

import time
from collections.abc import Mapping

from ops.audit.audit import Audit
from ops.audit.findings import NOTES, RULES, Findings
from ops.audit.line import moment_ms
from ops.audit.report_data import (
    MOST_CHAINS,
    Bucket,
    Chain,
    Input,
    Lateness,
    Mark,
    Note,
    Report,
    Rule,
)
from ops.audit.statistics import BOUNDS_MS, Statistics

#: Buckets of the timeline, about; a longer one has longer buckets.
MOST_BUCKETS = 120
MINUTE_MS = 60_000


def make(audit: Audit, sizes: Mapping[str, int]) -> Report:
    """Make the page's report of an audit that has ended; *sizes* has the bytes of each input."""
    statistics, counts = audit.statistics, audit.ledger.counts
    first_ms, last_ms = moment_ms(audit.first_ts), moment_ms(audit.last_ts)
    has_span = first_ms is not None and last_ms is not None
    chains = _chains(audit)
    bucket_ms, timeline = _timeline(statistics)
    return Report(
        generated_at_ms=round(time.time() * 1000),
        inputs=[
            Input(file=name, lines=audit.inputs.get(name, 0), bytes=size)
            for name, size in sizes.items()
        ],
        span_ms=(first_ms or 0, last_ms or 0) if has_span else None,
        totals={
            "lines": audit.lines,
            "files": len(sizes),
            "processes": len(chains),
            "commands": counts["accepted"],
            **statistics.exams(),
        },
        rules=_rules(audit.findings),
        notes=[
            Note(name=f"{name}: {NOTES[name]}", count=one.count, examples=one.examples)
            for name, one in audit.findings.notes.items()
        ],
        bucket_ms=bucket_ms,
        timeline=timeline,
        marks=[
            Mark(at_ms=at_ms, text=text)
            for ts, text in statistics.marks
            if (at_ms := moment_ms(ts)) is not None
        ],
        lateness=_lateness(statistics),
        chains=chains[:MOST_CHAINS],
        chains_left=max(0, len(chains) - MOST_CHAINS),
    )


def _rules(findings: Findings) -> list[Rule]:
    """List all rules, also those that hold."""
    rules = []
    for name, meaning in RULES.items():
        found = findings.violations.get(name)
        count, examples = (found.count, found.examples) if found else (0, [])
        rules.append(Rule(name=name, meaning=meaning, count=count, examples=examples))
    return rules


def _timeline(statistics: Statistics) -> tuple[int, list[Bucket]]:
    moments = list(statistics.timeline())
    if not moments:
        return MINUTE_MS, []
    span_ms = moments[-1][0] - moments[0][0] + MINUTE_MS
    bucket_ms = MINUTE_MS * max(1, -(-span_ms // (MINUTE_MS * MOST_BUCKETS)))
    sums: dict[int, dict[str, int]] = {}
    for at_ms, counts in moments:
        bucket = sums.setdefault(at_ms // bucket_ms * bucket_ms, {})
        for status, count in counts.items():
            bucket[status] = bucket.get(status, 0) + count
    return bucket_ms, [
        Bucket(
            at_ms=at_ms,
            started=counts.get("started", 0),
            passed=counts.get("pass", 0),
            failed=counts.get("fail", 0),
            absent=counts.get("absent", 0),
        )
        for at_ms, counts in sorted(sums.items())
    ]


def _lateness(statistics: Statistics) -> Lateness | None:
    p50, p99 = statistics.late_ms(0.5), statistics.late_ms(0.99)
    if p50 is None or p99 is None:
        return None
    bounds = [*map(round, BOUNDS_MS), statistics.latest_ms]  # the last ones are late without bound
    bars = list(zip(bounds, statistics.late, strict=True))
    most = max((at for at, (_, count) in enumerate(bars) if count), default=0)
    merged: dict[int, int] = {}
    for bound, count in bars[: most + 2]:
        merged[bound] = merged.get(bound, 0) + count
    return Lateness(
        bars=sorted(merged.items()),
        p50_ms=round(p50),
        p99_ms=round(p99),
        max_ms=statistics.latest_ms,
    )


def _chains(audit: Audit) -> list[Chain]:
    """List the processes, those first whose lines are not whole."""
    made = []
    for name, chain in audit.integrity.chains.items():
        is_whole = not (chain.is_broken or chain.before)
        end = "in order" if chain.line.event == "log_closed" else "killed"
        made.append(
            Chain(
                chain=name,
                part=chain.part,
                pid=chain.pid or 0,
                first_ms=moment_ms(chain.first_ts) or 0,
                last_ms=moment_ms(chain.line.ts) or 0,
                lines=chain.seq,
                end=end if end == "in order" or chain.is_ended else "still open",
                is_whole=is_whole,
            )
        )
    return sorted(made, key=lambda one: (one.is_whole, one.first_ms))
