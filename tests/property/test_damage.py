"""Files of exams that somebody or something has changed."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.documents import to_document

from filestore.document import Damaged, from_document
from filestore.exam import transition
from filestore.fact import Fact, Type

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def intact() -> dict[str, Any]:
    """The document of an exam that ended, with one fact of each type."""
    says: list[tuple[int, Type, int | str]] = [
        (0, Type.START, 1),
        (900, Type.FINISH, "pass"),
        (1001, Type.EXPIRE, 1000),
    ]
    facts = [
        Fact(at_ms=at, entry=f"{at}-0", command=f"{at}-0", source="school", type=kind, value=value)
        for at, kind, value in says
    ]
    exam = transition("math-7", None, facts).exam
    assert exam is not None
    return to_document(exam)


def read(document: Any) -> str:
    """Read a document; say what came of it."""
    try:
        return from_document(document, pk="math-7").pk
    except Damaged:
        return "damaged"


@given(JSON)
def test_any_json_is_damaged(document: Any) -> None:
    """A file of other JSON than ours is damaged, and never an accident of the interpreter."""
    assert read(document) == "damaged"


@given(st.data(), JSON)
def test_any_change_is_read_or_damaged(data: st.DataObject, value: Any) -> None:
    """With any one field changed to anything, a file is read as this exam's or is damaged."""
    document = copy.deepcopy(intact())
    place = data.draw(st.sampled_from([document, *document["history"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = value

    assert read(document) in ("math-7", "damaged")
