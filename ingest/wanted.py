"""Wanted: what a reader of events asks for. Values only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from filestore.fact import Status
from ingest.commands import parse
from ingest.faults import Fault, InvalidCommand, shorten
from ingest.feed import GAP, Happening
from ingest.positions import Position, position
from ingest.problems import Name, Refusal, of_faults

#: Header with which a client comes again, and the parameter for one that comes for the first time.
HEADER = "Last-Event-ID"
PARAMETER = "last_event_id"
#: Types of events that there are.
TYPES = (*(f"exam.{status}" for status in Status), "exam.refused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    Which events a reader is to get.

    Attributes:
        after: Those behind this one; None: from now on.
        pks: Of these exams; none named: of all.
        types: Of these types; none named: of all.
    """

    after: Position | None = None
    pks: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def has(self, event: Happening) -> bool:
        """Whether the reader is to get an event; a gap is everyone's."""
        if event.type == GAP:
            return True
        return (not self.pks or event.pk in self.pks) and (
            not self.types or event.type in self.types
        )


def wanted(query: Iterable[tuple[str, str]], last_ids: Sequence[str]) -> Wanted:
    """
    Read a request: its query, and its headers `HEADER`.

    The header goes before the parameter: a browser that comes again repeats the URL as it was.

    Raises:
        Refusal: With one fault per parameter that is wrong.
    """
    pairs = list(query)
    values: dict[str, list[str]] = {"pk": [], "type": [], PARAMETER: []}
    faults = [
        Fault(name, f"is unknown; known are {', '.join(values)}")
        for name in dict.fromkeys(shorten(name) for name, _ in pairs if name not in values)
    ]
    for name, value in pairs:
        values.get(name, []).append(value)
    faults += [fault for pk in values["pk"] for fault in _of_pk(pk)]
    faults += [fault for name in values["type"] for fault in _of_type(name)]
    after, wrong = _after(values[PARAMETER], [text for text in last_ids if text])
    if found := [*faults, *wrong]:
        raise Refusal(of_faults(Name.INVALID_QUERY, found))
    return Wanted(after=after, pks=frozenset(values["pk"]), types=frozenset(values["type"]))


def _of_pk(pk: str) -> Sequence[Fault]:
    try:
        parse("exam.start", {"pk": pk})
    except InvalidCommand as error:
        return error.faults
    return ()


def _of_type(name: str) -> Sequence[Fault]:
    known = f"{shorten(name)} is unknown; known are {', '.join(TYPES)}"
    return () if name in TYPES else (Fault("type", known),)


def _after(parameters: list[str], headers: list[str]) -> tuple[Position | None, list[Fault]]:
    """Read each id; take the header's, or else the parameter's."""
    after: Position | None = None
    faults: list[Fault] = []
    for name, texts in ((PARAMETER, parameters), (HEADER, headers)):
        if len(texts) > 1:
            faults.append(Fault(name, "stands twice in the request"))
        for text in texts[:1]:
            try:
                after = position(text)
            except ValueError as error:
                faults.append(Fault(name, str(error)))
    return after, faults
