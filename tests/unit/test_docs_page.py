"""The page about the API: whole, and by itself."""

from html.parser import HTMLParser

from ingest import openapi
from ingest.calls.table import OPERATIONS
from ingest.docs_page import render

PAGE = render(openapi.document(OPERATIONS, version="1.2.3"))
#: What a page may be made of that nobody else has to serve.
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Reader(HTMLParser):
    """Reads a page: its elements, their ids and where they lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.ids: list[str] = []
        self.leads: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append(tag)
        self.ids += [str(value) for name, value in attrs if name == "id"]
        self.leads += [str(value) for name, value in attrs if name in {"href", "src"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Each element ends within the one that it began in."""
        assert tag == self.open.pop()


def test_page_is_whole_by_itself() -> None:
    """It loads nothing, runs nothing, and what it links to is in it or on this gateway."""
    read = Reader(PAGE)

    assert [] == read.open
    assert not {"script", "link", "img", "iframe"} & set(read.elements)
    assert "url(" not in PAGE
    assert "@import" not in PAGE
    assert len(read.ids) == len(set(read.ids))
    within = {lead[1:] for lead in read.leads if lead.startswith("#")}
    assert within <= set(read.ids)
    assert {"/openapi.json", "/asyncapi.json"} == {one for one in read.leads if one[0] != "#"}


def test_page_has_every_call() -> None:
    """Each call has a place of its own, and a command line that makes it."""
    assert {one.id for one in OPERATIONS} <= set(Reader(PAGE).ids)
    assert PAGE.count("<pre>curl ") == len(OPERATIONS)
    assert "http://localhost:8080/exams/math-7/result" in PAGE


def test_texts_are_no_markup() -> None:
    """What stands in a description is shown as it is written, code and emphasis apart."""
    described = openapi.document(OPERATIONS, version="<1>")
    described["info"]["description"] = "a <script> of `<b>` and **two** *"

    page = render(described)

    assert "a &lt;script&gt; of <code>&lt;b&gt;</code> and <b>two</b> *" in page
    assert "&lt;1&gt;" in page
