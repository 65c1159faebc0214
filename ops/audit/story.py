"""Story: what became of one exam or echo, step by step, from its lines in the order of time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from filestore.exam import Standing, stand
from filestore.fact import Fact, Status, Type
from ops.audit import sentences
from ops.audit.found import Found, ids_of
from ops.audit.wording import Line, count, number, span, text
from ops.events import Event

VERDICTS = frozenset({Event.APPLIED, Event.DUPLICATE, Event.REFUSED, Event.CORRECTED})
MOVES = frozenset({Event.APPLIED, Event.CORRECTED})
#: What ends a command, for this once.
ENDS = VERDICTS | {Event.BURIED, Event.ECHO_PRINTED, Event.DISCARDED}
#: Lines that come again at each try: told once, and counted.
REPEATED = VERDICTS | {Event.WAITING, Event.FAILED, Event.UNAVAILABLE}
#: Changes of one exam that are judged by the rules, which look at all its commands each time. An
#: exam has two or three; after a forged flood of them the lines are believed.
MOST_MOVES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened: a sentence for people, the ids for who looks further."""

    at_ms: int
    says: str
    ids: str
    event: str = ""
    entry: str = ""
    task: str = ""


@dataclass(slots=True)
class Course:
    """How an exam stood, as far as its lines tell. The product's own rules judge the commands."""

    deadline_ms: int | None = None
    facts: dict[str, Fact] = field(default_factory=dict)
    stays: list[tuple[int, str]] = field(default_factory=list)
    moves: int = 0

    @property
    def status(self) -> str:
        """How it stands; empty while nothing has started it."""
        return self.stays[-1][1] if self.stays else ""

    def take(self, line: Line, *, at_ms: int) -> None:
        """Take what a verdict did."""
        fact = fact_of(line)
        if fact:
            self.facts[fact.entry] = fact
        if text(line, "event") not in MOVES:
            return
        self.moves += 1
        standing = stand(self.facts.values()) if self.moves <= MOST_MOVES else None
        if standing:
            self.deadline_ms = standing.deadline_ms
        self.become(_status(standing, line), at_ms=at_ms)

    def become(self, status: str, *, at_ms: int) -> None:
        """Note a status, when it is another."""
        if status and status != self.status:
            self.stays.append((at_ms, status))


class Story:
    """What became of one exam, or of one echo."""

    def __init__(self, pk: str, found: Iterable[Found]) -> None:
        self.pk = pk
        self._found = sorted(found, key=lambda one: one.at_ms)
        self._of_entry: dict[str, list[Found]] = defaultdict(list)
        for one in self._found:
            self._of_entry[one.entry].append(one)
        self._end = {one.entry: one.event for one in self._found if one.event in ENDS}
        self._over_http = {text(one.line, "command_id") for one in self._of(Event.ACCEPTED)}
        self._told: set[tuple[str, str]] = set()
        known = (number(one.line, "deadline_ms") for one in self._found)
        self.course = Course(deadline_ms=next((ms for ms in known if ms is not None), None))
        self.steps: Sequence[Step] = [*self._steps()]

    def status_of(self, entry: str) -> str:
        """What became of a command: the event that ended it; empty when none did."""
        return self._end.get(entry, "").replace("_", " ")

    def headline(self) -> str:
        """Say it in one line."""
        name = f"Exam {self.pk}" if self.pk else "Echo"
        status = self.course.status
        if not self.pk:
            is_out = any(self._of(Event.ECHO_PRINTED))
            return f"{name}: {'printed' if is_out else 'no line says that it was printed'}."
        if not status:
            return f"{name}: no line says that it was started."
        return " ".join([f"{name}: {status}.", *self._remarks()])

    def _remarks(self) -> Iterator[str]:
        stays = self.course.stays
        for (since_ms, status), (until_ms, _) in pairwise(stays):
            if status != Status.STARTED:
                yield f"It was {status} for {span(until_ms - since_ms)} and was corrected."
        late = [one for one in self._of(Event.REFUSED) if text(one.line, "reason") == "late"]
        if self.course.status == Status.ABSENT and late:
            yield f"{count(len({one.entry for one in late}), 'result')} came in too late."
        elif self.course.status == Status.ABSENT:
            yield "No line tells of a result that came in time."
        if self.course.status == Status.STARTED:
            yield "No line says how it ended."

    def _of(self, event: Event) -> Iterator[Found]:
        return (one for one in self._found if one.event == event)

    def _steps(self) -> Iterator[Step]:
        for one in self._found:
            says = self._says(one)
            if says:
                yield Step(
                    at_ms=one.at_ms,
                    says=says,
                    ids=ids_of(one, fired=self._fired(one)),
                    event=one.event,
                    entry=one.entry,
                    task=text(one.line, "task_id"),
                )

    def _says(self, one: Found) -> str:
        """Say a line in words; empty for one that tells nothing new."""
        mark = (one.event if one.event not in VERDICTS else "verdict", one.entry)
        is_new = mark not in self._told
        self._told.add(mark)
        if one.event in VERDICTS and self.pk:
            return self._verdict(one) if is_new else self._again(one)
        if one.event in REPEATED and not is_new:
            return ""
        if one.event in (Event.ACCEPTED, Event.DISPATCHED):
            return self._came(one)
        if one.event == Event.DEADLINE_FIRED and self.status_of(one.entry):
            return ""  # its verdict says it all
        if one.event == Event.EXAM_REBUILT:
            self.course.become(text(one.line, "status"), at_ms=one.at_ms)
        typed = {"type": self._type(one), **one.line}
        return sentences.beside(typed, now_ms=one.at_ms)

    def _verdict(self, one: Found) -> str:
        before = self.course.status
        self.course.take(one.line, at_ms=one.at_ms)
        says = sentences.verdict(
            one.line,
            came=self._door(one),
            before=before,
            after=self.course.status,
            deadline_ms=self.course.deadline_ms,
            now_ms=one.at_ms,
        )
        if one.line.get("redelivered") is True:
            says += " This was confirmed again after a crash: it was on the disk already."
        return says

    def _again(self, one: Found) -> str:
        """Tell a verdict that was written before: once, however often it came."""
        mark = ("again", one.entry)
        if mark in self._told:
            return ""
        self._told.add(mark)
        same = [other for other in self._of_entry[one.entry] if other.event in VERDICTS]
        return sentences.again(text(one.line, "type"), times=len(same) - 1)

    def _came(self, one: Found) -> str:
        """Tell a command's coming only where nothing else tells it: it has no end, or is alone."""
        mark = ("came", one.entry)
        if mark in self._told or (self.status_of(one.entry) and self.pk):
            return ""
        self._told.add(mark)
        says = f"{sentences.command(self._type(one))} came in {self._door(one)}."
        if self.status_of(one.entry):
            return says
        given = sum(other.event == Event.DISPATCHED for other in self._of_entry[one.entry])
        return says + sentences.open_end(given=given)

    def _door(self, one: Found) -> str:
        is_http = text(one.line, "command_id") in self._over_http
        return "over HTTP" if is_http else "directly on the stream"

    def _type(self, one: Found) -> str:
        kinds = (text(other.line, "type") for other in self._of_entry[one.entry] if one.entry)
        return next(filter(None, kinds), "")

    def _fired(self, one: Found) -> Found | None:
        """The line in which the deadline became this command, where that is how it came to be."""
        if one.event not in VERDICTS:
            return None
        lines = (other for other in self._of_entry[one.entry] if one.entry)
        return next((other for other in lines if other.event == Event.DEADLINE_FIRED), None)


def fact_of(line: Line) -> Fact | None:
    """Read the command that a verdict speaks of; None when the line does not tell it."""
    try:
        return Fact(
            at_ms=line["at_ms"],
            entry=line["entry"],
            command=line["command_id"],
            source=line.get("source"),
            type=Type(line["type"]),
            value=line["value"],
        )
    except (KeyError, ValueError, TypeError):
        return None


def _status(standing: Standing | None, line: Line) -> str:
    """Take the status from the rules; without the start's line, from what the command asks for."""
    if standing:
        return standing.status.value
    kind, value = text(line, "type"), text(line, "value")
    named = {Type.START: Status.STARTED, Type.EXPIRE: Status.ABSENT}.get(kind)  # type: ignore[call-overload]
    return named.value if named else value
