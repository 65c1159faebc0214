"""Sentences: what a line about an exam means, and the rule behind it, for people. Pure."""

from ops.audit.wording import Line, clock, count, lead, number, span, text
from ops.events import Event

#: Verdicts on an exam's commands, by type, verdict and reason. Each tells the rule that decided.
VERDICTS = {
    ("exam.start", "applied", ""): (
        "The exam was started {came} at {at}: {value} seconds, so a result counts until {deadline} "
        "(and in that very millisecond)."
    ),
    ("exam.start", "corrected", ""): (
        "A start that had come in earlier, at {at}, surfaced only now. The start that came in "
        "first counts, so a result now counts until {deadline}."
    ),
    ("exam.start", "duplicate", ""): (
        "The same start came again {came}. The same command counts once: nothing was changed."
    ),
    ("exam.start", "refused", "already started"): (
        "A second start came in {came} and was refused. The start that came in first counts, and "
        "its deadline stays."
    ),
    ("exam.finish", "applied", ""): (
        "The result {value} was applied. It had come in {came} at {at}, {lead}. The first result "
        "that comes in up to the deadline counts."
    ),
    ("exam.finish", "corrected", ""): (
        "The result {value} was applied. It had come in {came} at {at}, {lead}. {rule}: {before} "
        "was corrected to {after}."
    ),
    ("exam.finish", "duplicate", ""): (
        "The same result {value} came again {came}, {lead}. The same command counts once: nothing "
        "was changed."
    ),
    ("exam.finish", "refused", "late"): (
        "The result {value} was refused as late: it had come in {came} at {at}, {lead}. What "
        "comes in after the deadline never counts."
    ),
    ("exam.finish", "refused", "already decided"): (
        "Another result, {value}, had come in {came} at {at}, {lead}, and was refused. The result "
        "that came in first counts."
    ),
    ("exam.expire", "applied", ""): (
        "The time was over and no result had been applied. The exam became absent{late}."
    ),
    ("exam.expire", "corrected", ""): (
        "The time of the start that counts was over, and no result counted: the exam is absent."
    ),
    ("exam.expire", "duplicate", ""): (
        "The end of the time was noted a second time. The same command counts once: nothing was "
        "changed."
    ),
    ("exam.expire", "refused", "already decided"): (
        "The time was over. The exam had been decided by then ({before}), so nothing was changed."
    ),
    ("exam.expire", "refused", "not due"): (
        "Somebody said that the time was over, {lead}. Only the deadline ends an exam: it was "
        "refused, and nothing was changed."
    ),
    ("exam.expire", "refused", "other deadline"): (
        "Somebody said that the time was over, but named a deadline that is not this exam's. It "
        "was refused, and nothing was changed."
    ),
}
#: Lines about an exam or an echo that are no verdict on an exam's command.
BESIDE: dict[str, str] = {
    Event.WAITING: "{what} came in before the exam's start, and waits for it.",
    Event.BURIED: "{what} was set aside for people to decide: {reason}.",
    Event.REPLAYED: (
        "{by} put it back ({why}). It had been set aside: {reason}. It is judged by the time at "
        "which it first came in, {at}."
    ),
    Event.DISCARDED: "{by} gave it up ({why}). It had been set aside: {reason}.",
    Event.DEADLINE_FIRED: (
        "The time was over at {deadline}, and the exam was asked whether a result had come. No "
        "line says what was found."
    ),
    Event.DEADLINE_RESTORED: (
        "Redis had lost the deadline {deadline}. It was set again, from the exam's file."
    ),
    Event.FOREIGN_DROPPED: (
        "Something that no part of Invigil wrote lay in the exam's inbox, and was removed."
    ),
    Event.EXAM_DAMAGED: "The exam's file could not be read ({error}). Nothing was written over it.",
    Event.EXAM_REBUILT: (
        "The exam's file was damaged, and was made anew from the commands: {status}, with the "
        "deadline {deadline}. The damaged file was kept."
    ),
    Event.EXAM_NOT_REBUILT: (
        "The exam's damaged file could not be made anew for sure: {reason}. People must decide; "
        "what came in waits."
    ),
    Event.FAILED: "Something unexpected went wrong ({cause}). It is tried again.",
    Event.UNAVAILABLE: "The {away} was not to be had ({error}). It is tried again.",
    Event.ECHO_STARTED: "The echo began to wait for {delay_s} s.",
    Event.ECHO_PRINTED: "The text was printed: {text}",
    Event.ECHO_SKIPPED: (
        "The echo was given out again and left alone ({reason}): a text is printed once."
    ),
    Event.DUPLICATE: (
        "The same echo came again. The same command counts once: it was not printed again."
    ),
    Event.REFUSED: (
        "An echo came in under the id of one that says something else, and was refused. One id "
        "stands for one command: the one that came in first holds."
    ),
}
CONFLICT = (
    "{what}, {value}, came in {came} under the id of a command that says something else, and was "
    "refused. One id stands for one command: the one that came in first holds."
)
WHAT = {
    "exam.start": "A start",
    "exam.finish": "A result",
    "exam.expire": "The end of the time",
    "echo": "An echo",
}
IN_TIME = "A result that came in time counts, however late it is processed"
EARLIER = "The result that came in first counts, however late it is processed"


def verdict(
    line: Line, *, came: str, before: str, after: str, deadline_ms: int | None, now_ms: int
) -> str:
    """
    Say what a command did to its exam, and why.

    Args:
        came: How it came in: ``over HTTP``.
        before: The exam's status before it.
        after: The status after it.
        now_ms: When the line was written.
    """
    kind, what, reason = text(line, "type"), text(line, "event"), text(line, "reason")
    at_ms = number(line, "at_ms")
    sentence = CONFLICT if reason.startswith("same id") else VERDICTS.get((kind, what, reason))
    if sentence is None:
        return f"{command(kind)} was {what}{f' ({reason})' if reason else ''}."
    return sentence.format(
        what=command(kind),
        value=text(line, "value"),
        came=came,
        at=clock(at_ms, on_ms=now_ms),
        deadline=clock(deadline_ms, on_ms=now_ms),
        lead=lead(at_ms, deadline_ms),
        before=before or "what stood",
        after=after,
        rule=IN_TIME if before == "absent" else EARLIER,
        late=_late(now_ms, deadline_ms),
    )


def command(kind: str) -> str:
    """Name a command of a type, as the beginning of a sentence."""
    return WHAT.get(kind, f"A command of the type {kind}" if kind else "A command")


def beside(line: Line, *, now_ms: int) -> str:
    """Say what a line means that is no verdict; empty for what people need not know."""
    sentence = BESIDE.get(text(line, "event"), "")
    cause = str(line.get("exception") or "").rstrip().rpartition("\n")[2][:200]
    return sentence.format(
        what=command(text(line, "type")),
        away=text(line, "what") or "something",
        by=text(line, "by") or "Somebody",
        why=text(line, "why") or "no reason given",
        reason=text(line, "reason") or "no reason given",
        error=text(line, "error") or "no cause given",
        cause=cause or "no cause given",
        status=text(line, "status"),
        delay_s=text(line, "delay_s"),
        text=text(line, "text"),
        deadline=clock(number(line, "deadline_ms"), on_ms=now_ms),
        at=clock(number(line, "at_ms"), on_ms=now_ms),
    )


def again(kind: str, *, times: int) -> str:
    """Say that what was done was found done when it was looked at again."""
    what = command(kind).partition(" ")[2]
    often = "" if times == 1 else f", {times} times"
    return (
        f"The {what} was confirmed again after a crash or a lost connection{often}: it was on the "
        "disk already, and nothing was changed."
    )


def open_end(*, given: int) -> str:
    """Say that a command has no end in the log."""
    if not given:
        return " No line says that it was given to a worker."
    return f" It was given to a worker {count(given, 'time')}; no line says what became of it."


def _late(now_ms: int, deadline_ms: int | None) -> str:
    late_ms = 0 if deadline_ms is None else now_ms - deadline_ms
    return f", {span(late_ms)} after the deadline" if late_ms >= 1000 else ""
