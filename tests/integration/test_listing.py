"""Lists over HTTP: pages, counts, and what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.gateway import Http, problem, serving
from yarl import URL

from filestore.exam import transition
from filestore.fact import Fact, Type
from filestore.store import Store
from ops.settings import Settings


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The exams on disk."""
    store = Store(tmp_path / "exams")
    store.prepare()
    return store


@pytest.fixture
async def http(server: Settings, client: Redis, store: Store) -> AsyncIterator[Http]:
    """A client of a gateway whose Redis is empty."""
    async with serving(server.redis, store) as http:
        yield http


def save(store: Store, pk: str, *, at_ms: int, result: str | None = None) -> None:
    """Write the document of an exam."""
    values: list[tuple[Type, int | str]] = [(Type.START, 120)]
    values += [(Type.FINISH, result)] if result else []
    facts = [
        Fact(
            at_ms=at_ms + more,
            entry=f"{at_ms + more}-0",
            command=f"{pk}-{more}",
            source=None,
            type=kind,
            value=value,
        )
        for more, (kind, value) in enumerate(values)
    ]
    exam = transition(pk, None, facts).exam
    assert exam
    store.save(exam)


async def get(http: Http, path: str) -> Any:
    """Ask for something that is there."""
    response = await http.get(path)
    assert response.status == 200
    return await response.json()


async def test_page(http: Http, store: Store) -> None:
    """A page has what a list needs of each exam, as its document has it, newest first."""
    save(store, "a", at_ms=1_763_822_000_123)
    save(store, "b", at_ms=1_763_822_000_124, result="pass")

    page = await get(http, "/exams")

    assert page["next"] is None
    assert ["b", "a"] == [exam["pk"] for exam in page["exams"]]
    for exam in page["exams"]:
        document = await get(http, f"/exams/{exam['pk']}")
        assert exam == {name: value for name, value in document.items() if name != "history"}


async def test_pages_by_link(http: Http, store: Store) -> None:
    """Who follows `Link` sees each exam of the filter once, in pages of the first one's size."""
    for at_ms in range(10):
        save(store, f"e{at_ms}", at_ms=1000 + at_ms, result="fail" if at_ms % 3 else None)

    path: str | None = "/exams?status=fail&since=1002&limit=2"
    pages = []
    while path:
        response = await http.get(path)
        page = await response.json()
        pages.append([exam["pk"] for exam in page["exams"]])
        link = response.links.get("next")
        path = str(URL(link["url"]).relative()) if link else None
        assert (page["next"] is None) == (path is None)

    assert pages == [["e8", "e7"], ["e5", "e4"], ["e2"]]


async def test_full_last_page(http: Http, store: Store) -> None:
    """A last page that is full is known to be the last."""
    save(store, "a", at_ms=1)
    save(store, "b", at_ms=2)

    assert (await get(http, "/exams?limit=2"))["next"] is None


async def test_counts(http: Http, store: Store) -> None:
    """The counts are by status; an exam called `counts` is not in their way."""
    save(store, "counts", at_ms=1)
    save(store, "a", at_ms=1, result="pass")

    found = await get(http, "/exams/counts")

    assert found == {"started": 1, "pass": 1, "fail": 0, "absent": 0, "total": 2}
    assert "counts" in [exam["pk"] for exam in (await get(http, "/exams"))["exams"]]


@pytest.mark.parametrize(
    "path", ["/exams?limit=0", "/exams?cursor=made-up", "/exams?x=1", "/exams/counts?status=pass"]
)
async def test_refused(http: Http, path: str) -> None:
    """A query that makes no sense is refused, with the field."""
    response = await http.get(path)

    assert await problem(response) == (422, "invalid-query")
    [error] = (await response.json(content_type=None))["errors"]
    assert error["field"] == path.partition("?")[2].partition("=")[0]


async def test_other_list(http: Http, store: Store) -> None:
    """A cursor of one list does not go with the filters of another."""
    for at_ms in range(3):
        save(store, f"e{at_ms}", at_ms=at_ms)
    cursor = (await get(http, "/exams?status=started&limit=1"))["next"]

    response = await http.get(f"/exams?status=pass&cursor={cursor}")

    assert await problem(response) == (422, "invalid-query")


@pytest.mark.parametrize("path", ["/exams", "/exams/counts"])
async def test_no_index(http: Http, store: Store, path: str) -> None:
    """While there is no list to ask, the answer is to come again, not a short list."""
    (store.path("a").parents[1] / ".index.sqlite").unlink()

    response = await http.get(path)

    assert await problem(response) == (503, "unavailable")
    assert response.headers["Retry-After"] == "2"


async def test_read_only(http: Http, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that gives nothing is away, as for one exam."""

    def fail(**_: object) -> None:
        raise OSError("the list of exams: disk I/O error")

    monkeypatch.setattr(store.index, "page", fail)

    assert await problem(await http.get("/exams")) == (503, "unavailable")
