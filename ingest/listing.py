"""Listing: the routes that show many exams at once, from the store's index."""

from typing import NoReturn

from aiohttp import web

from filestore.document import iso
from filestore.row import Row
from filestore.store import Store
from filestore.table import Unready
from ingest.answers import answer
from ingest.cursors import read_once, read_query
from ingest.disk import look
from ingest.problems import Name, Refusal, problem


class Listings:
    """The routes, and what they need."""

    def __init__(self, store: Store) -> None:
        self._index = store.index

    async def list_exams(self, request: web.Request) -> web.Response:
        """``GET /exams?status=&since=&limit=&cursor=``: a page, newest first."""
        wanted = read_query(request.query.items())
        try:
            rows = await look(
                self._index.page,
                status=wanted.status,
                since_ms=wanted.since_ms,
                before=wanted.after,
                limit=wanted.limit + 1,  # one more tells whether there is a next page
            )
        except Unready as error:
            _refuse(error)
        shown = rows[: wanted.limit]
        is_last = len(rows) == len(shown)
        cursor = None if is_last else wanted.cursor(after=(shown[-1].started_ms, shown[-1].pk))
        headers = {"Link": f'</exams?cursor={cursor}>; rel="next"'} if cursor else {}
        return answer({"exams": [_shown(row) for row in shown], "next": cursor}, headers=headers)

    async def count_exams(self, request: web.Request) -> web.Response:
        """``GET /exams/counts``: how many exams stand how. It goes before an exam of this name."""
        read_once(request.query.items(), known=())
        try:
            counts = await look(self._index.counts)
        except Unready as error:
            _refuse(error)
        by_name: dict[str, object] = {status.value: found for status, found in counts.items()}
        return answer({**by_name, "total": sum(counts.values())})


def _shown(row: Row) -> dict[str, str | None]:
    return {
        "pk": row.pk,
        "status": row.status.value,
        "started_at": iso(row.started_ms),
        "deadline": iso(row.deadline_ms),
        "decided_at": None if row.decided_ms is None else iso(row.decided_ms),
    }


def _refuse(error: Unready) -> NoReturn:
    said = "the list of exams is being made from their files; ask again"
    raise Refusal(problem(Name.UNAVAILABLE, said)) from error
