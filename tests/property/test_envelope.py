"""Messages in Celery's queues, for any values in them."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.hostile import texts
from support.queue_messages import body, headers, message

from filestore.name import is_name
from tasks.envelope import Foreign, opened

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def refused(given: object) -> None:
    """See that a message is none of ours."""
    with pytest.raises(Foreign):
        opened(given, tag="t", queue="exam")


@given(texts)
def test_names_of_exams(text: str) -> None:
    """A bell names exams alone: what else it names never comes to a file."""
    assume(not is_name(text))

    refused(message(body([text])))


@given(
    st.sampled_from(("task", "id", "retries", "eta", "expires", "traceparent", "timelimit", "x")),
    JSON,
)
def test_any_header_is_refused_or_harmless(name: str, value: object) -> None:
    """Whatever one header says, a worker gets the headers that ours have, or no message at all."""
    written = message(body(["a"]), headers=headers(**{name: value}))
    try:
        handed = opened(written, tag="t", queue="exam")["headers"]
    except Foreign:
        return

    assert "tasks.exam" == handed["task"]
    assert [None, None] == handed["timelimit"]
    assert "x" not in handed
    assert handed.keys() <= {
        *("task", "id", "retries", "eta", "expires", "traceparent", "argsrepr", "kwargsrepr"),
        *("origin", "lang", "parent_id", "root_id", "group", "timelimit", "ignore_result"),
    }


@given(JSON)
def test_anything_is_ours_or_refused(value: object) -> None:
    """Whatever JSON lies in a queue, it is refused: nothing else can happen."""
    refused(value)
    refused(message(json.dumps(value).encode()))
