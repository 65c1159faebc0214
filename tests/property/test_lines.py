"""Lines of a body: however it is cut into pieces on its way, they are the same."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.lines import MAX_LINE_BYTES, Splitter

TEXTS = st.one_of(
    st.binary(max_size=6).map(lambda text: text.replace(b"\n", b"")),
    st.sampled_from([b"", b" \r", b"a" * MAX_LINE_BYTES, b"a" * (MAX_LINE_BYTES + 1)]),
)


@given(texts=st.lists(TEXTS, max_size=6), cuts=st.lists(st.integers(0, 400_000), max_size=8))
def test_cuts_do_not_matter(texts: list[bytes], cuts: list[int]) -> None:
    """Each line that is not blank comes out once, whole, under its number; too long ones empty."""
    body = b"\n".join(texts)
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    splitter = Splitter()

    chunks = [chunk for begin, end in pairwise(places) for chunk in splitter.feed(body[begin:end])]
    chunks += splitter.end()
    found = [line for chunk in chunks for line in chunk.lines()]

    expected = {
        number: text if len(text) <= MAX_LINE_BYTES else None
        for number, text in enumerate(texts, 1)
        if text.strip()
    }
    assert {line.number: line.text for line in found} == expected
    assert len(found) == len(expected)
