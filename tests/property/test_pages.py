"""Pages of a list while exams change: none is shown twice, none that stays is left out."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from filestore.fact import Status
from filestore.row import Row
from filestore.table import Table
from ingest.cursors import Listing, read_query

NAMES = [f"e{number}" for number in range(12)]
starts = st.fixed_dictionaries({pk: st.integers(0, 4) for pk in NAMES})
#: What happens between two pages: an exam comes, or is decided.
changes = st.lists(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(Status)), max_size=4))


def put(table: Table, pk: str, status: Status, started_ms: int) -> None:
    """Write a row as a worker does."""
    row = Row(pk=pk, status=status, started_ms=started_ms, deadline_ms=9, decided_ms=None)
    table.put([row], boot="b")


@given(
    starts,
    st.sets(st.sampled_from(NAMES)),
    changes,
    st.builds(
        Listing,
        status=st.sampled_from([None, *Status]),
        since_ms=st.integers(0, 3),
        limit=st.integers(1, 5),
    ),
)
def test_pages(
    starts: dict[str, int],
    first: set[str],
    changes: list[list[tuple[str, Status]]],
    listing: Listing,
) -> None:
    """Every exam that met the filter all the time is shown once, in order; no other one twice."""
    with tempfile.TemporaryDirectory() as folder:
        table = Table(Path(folder))
        table.finish(token=table.begin("b"))
        stands = dict.fromkeys(first, Status.STARTED)
        for pk in first:
            put(table, pk, Status.STARTED, starts[pk])

        def fits(pk: str) -> bool:
            return starts[pk] >= listing.since_ms and listing.status in (None, stands.get(pk))

        stayed = {pk for pk in first if fits(pk)}
        wanted: Listing | None = listing
        shown: list[tuple[int, str]] = []
        while wanted:
            rows = table.page(
                status=wanted.status,
                since_ms=wanted.since_ms,
                before=wanted.after,
                limit=wanted.limit,
            )
            assert all(fits(row.pk) for row in rows)
            shown += [(row.started_ms, row.pk) for row in rows]
            cursor = wanted.cursor(after=shown[-1]) if rows else None
            for pk, now in changes.pop() if changes else []:
                stands[pk] = now
                put(table, pk, now, starts[pk])
                stayed = {pk for pk in stayed if fits(pk)}
            wanted = read_query([("cursor", cursor)]) if cursor else None

        counted = {one: list(stands.values()).count(one) for one in Status}
        assert shown == sorted(set(shown), reverse=True)
        assert stayed <= {pk for _, pk in shown}
        assert counted == table.counts()
