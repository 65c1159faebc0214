"""Cursors: which exams a list shows, and where its next page begins. Values only."""

import base64
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256

from filestore.document import from_iso
from filestore.fact import LAST_MS, Status
from ingest.faults import Fault, shorten
from ingest.problems import Name, Refusal, of_faults

#: Exams in a page: unless asked otherwise, and at most.
DEFAULT_LIMIT, MOST = 50, 500
#: What may stand in the query of a list.
PARAMETERS = ("status", "since", "limit", "cursor")
#: Bytes at the end of a cursor by which one that was made up or cut is told.
_MARK_BYTES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """
    A page of a list.

    Attributes:
        after: ``(started_ms, pk)`` of the last exam of the page before; None: the first page.
        status: Exams that stand so; None: all.
        since_ms: Exams that started then or later.
        limit: Exams in the page, 1 to `MOST`.
    """

    after: tuple[int, str] | None = None
    status: Status | None = None
    since_ms: int = 0
    limit: int = DEFAULT_LIMIT

    def cursor(self, *, after: tuple[int, str]) -> str:
        """Name the page behind an exam: base64url, with all that this list asks for."""
        text = _text(asdict(replace(self, after=after)))
        return base64.urlsafe_b64encode(text + _mark(text)).rstrip(b"=").decode()


def read_query(query: Iterable[tuple[str, str]]) -> Listing:
    """
    Read the query of a list.

    A cursor says all; what stands beside it must say the same, but for the limit.

    Raises:
        Refusal: `invalid-query`, with one fault per parameter that is wrong.
    """
    given = read_once(query, known=PARAMETERS)
    read = {"status": _status, "since": _since, "limit": _limit, "cursor": _cursor}
    found: dict[str, object] = {}
    faults: list[Fault] = []
    for name, text in given.items():
        try:
            found[name] = read[name](text)
        except ValueError as error:
            faults.append(Fault(name, str(error)))
    if faults:
        raise Refusal(of_faults(Name.INVALID_QUERY, faults))
    if "since" in found:
        found["since_ms"] = found.pop("since")
    page = found.pop("cursor", Listing())
    assert isinstance(page, Listing)
    wanted = replace(page, **found)  # type: ignore[arg-type]  # read by the functions above
    if page.after and replace(wanted, limit=page.limit) != page:
        fault = Fault("cursor", "is of another list; leave the filters away, or as they were")
        raise Refusal(of_faults(Name.INVALID_QUERY, [fault]))
    return wanted


def read_once(query: Iterable[tuple[str, str]], *, known: tuple[str, ...]) -> dict[str, str]:
    """
    Take the parameters of a query, each known and there once.

    Raises:
        Refusal: `invalid-query`.
    """
    found: dict[str, str] = {}
    faults: dict[str, Fault] = {}
    for name, text in query:
        if name not in known:
            listed = f"known are {', '.join(known)}" if known else "there are none here"
            faults[name] = Fault(shorten(name), f"is unknown; {listed}")
        elif name in found:
            faults[name] = Fault(name, "stands twice in the query")
        found[name] = text
    if faults:
        raise Refusal(of_faults(Name.INVALID_QUERY, [*faults.values()][:8]))
    return found


def _status(text: str) -> Status:
    try:
        return Status(text)
    except ValueError:
        raise ValueError(f"is one of {', '.join(Status)}, not {shorten(text)}") from None


def _since(text: str) -> int:
    try:
        # No exam is older than 1970, so that a moment before is as good as its beginning.
        ms = _whole(text) if text.isdecimal() else max(0, from_iso(text))
    except (ValueError, OverflowError):
        ms = -1
    if not 0 <= ms <= LAST_MS:
        wanted = "milliseconds since 1970, or ISO 8601 with a zone (its + is written %2B)"
        raise ValueError(f"is {wanted}, not {shorten(text)}")
    return ms


def _limit(text: str) -> int:
    try:
        limit = _whole(text)
    except ValueError:
        limit = 0
    if not 1 <= limit <= MOST:
        raise ValueError(f"is a whole number, 1 to {MOST}, not {shorten(text)}")
    return limit


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LAST_MS))):
        raise ValueError("not a whole number")
    return int(text)


def _cursor(text: str) -> Listing:
    """Read back what `Listing.cursor` made, to the letter."""
    wrong = ValueError("is not one that this list gave; take `next` as it came")
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        whole = base64.b64decode(padded, altchars=b"-_", validate=True)
        values, mark = whole[:-_MARK_BYTES], whole[-_MARK_BYTES:]
        if mark != _mark(values):
            raise wrong
        page = _page(json.loads(values))
    except (ValueError, RecursionError):
        raise wrong from None
    if not page.after or page.cursor(after=page.after) != text:
        raise wrong
    return page


def _page(found: object) -> Listing:
    match found:
        case {
            "after": [int(started_ms), str(pk)],
            "status": None | str() as status,
            "since_ms": int(since_ms),
            "limit": int(limit),
        } if 1 <= limit <= MOST and max(abs(started_ms), abs(since_ms)) <= LAST_MS:
            kind = None if status is None else Status(status)
            return Listing(after=(started_ms, pk), status=kind, since_ms=since_ms, limit=limit)
    raise ValueError("not a page")


def _text(values: object) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()


def _mark(text: bytes) -> bytes:
    """Not a secret: who makes up a mark as well gets a page, as with any other query."""
    return sha256(b"invigil list of exams" + text).digest()[:_MARK_BYTES]
