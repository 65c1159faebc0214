"""Idempotency keys, and the ids that are made from them."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import ids
from ingest.commands import Command, parse
from ingest.once import BadKey, fingerprint, read_key


def start(**values: object) -> Command:
    """A start with these values."""
    return Command(data=parse("exam.start", {"pk": "math-7", **values}))


def test_quotes_are_optional() -> None:
    """The key of the draft is a quoted string; what most clients send is bare."""
    assert read_key(['"a-1"']) == read_key(["a-1"]) == read_key([" a-1\t"])
    assert read_key(['"a-1"']) != read_key(['"a-2"'])
    assert read_key([r'"a\"b"']) == read_key(['"a\\"b"'])
    assert read_key([]) is None


@pytest.mark.parametrize("given", ["", '""', "a b", "é", "a" * 201, '"a', 'a"', '"a"b', "a\x00"])
def test_bad_key(given: str) -> None:
    """What is no key is said to be none, with what was seen."""
    with pytest.raises(BadKey, match="visible ASCII"):
        read_key([given])


def test_two_keys() -> None:
    """Two headers are two wishes."""
    with pytest.raises(BadKey, match="twice"):
        read_key(["a", "a"])


def test_longest_key() -> None:
    """Two hundred characters are a key."""
    assert read_key(["a" * 200])
    assert read_key(['"' + "a" * 200 + '"'])


@given(
    st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\'),
        min_size=1,
        max_size=200,
    )
)
def test_key_makes_one_pk(text: str) -> None:
    """The exam that a key names follows the rule for a pk, and its command's id tells both."""
    key = read_key([text])
    assert key
    pk = ids.pk_of(key.uuid)

    parse("exam.start", {"pk": pk})
    assert (pk, key.uuid) == ids.parts(ids.command_id(key.uuid, pk=pk))


def test_fingerprint_is_of_what_is_asked() -> None:
    """Values decide, not the order in which they were written or what was left out."""
    assert fingerprint(start()) == fingerprint(start(duration=None))
    assert fingerprint(start()) != fingerprint(start(duration=5))


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "../../etc/passwd.018f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        ".018f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "a.018F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        "a.{018f22e2-79b0-7cc3-98c4-dc0c0c07398f}",
        "a.018f22e2-79b0-7cc3-98c4-dc0c0c07398f\n",
        "a" * 65 + ".018f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    ],
)
def test_not_a_command_of_ours(name: str) -> None:
    """What no gateway made is taken apart into nothing: a part of it becomes the name of a file."""
    assert ids.parts(name) is None


def test_pk_with_dots() -> None:
    """A pk may have dots of its own."""
    uuid = UUID(ids.new_uuid())

    assert ("a.b.c", uuid) == ids.parts(ids.command_id(uuid, pk="a.b.c"))
    assert (None, uuid) == ids.parts(ids.command_id(uuid, pk=None))
