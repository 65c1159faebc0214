"""Hostile values at the doors of a running system: none of them becomes more than a value."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import queue_messages, raw_http
from support.doors import ANSWERED, BODIES, ON_STREAM, PLACES, Place, entry, raw
from support.hostile import TEXTS, examples, is_harmless, texts, tree
from support.raw_http import RawAnswer
from support.stack import Stack
from support.waiting import wait_until

from filestore.name import is_name
from ingest.calls.table import OPERATIONS
from ops import keys

anything = texts | st.text(max_size=60)
QUEUES = (keys.QUEUE_EXAM, keys.QUEUE_MAIL, keys.QUEUE_SLOW)
#: Where files of ours lie; in folders whose names begin with a dot the store keeps its own.
OURS = re.compile(
    r"(?:logs|redis|mail)(?:/.*)?|up\.lock|exams(?:/\..*)?"
    r"|exams/[0-9a-f]{2}(?:/(?P<pk>[^/]*)\.json)?"
)


@pytest.fixture(autouse=True, scope="module")
def nothing_else(stack: Stack) -> Iterator[None]:
    """
    After all of it no file lies where none of ours does, each exam's is named as one can be, and
    every line of the log is one that a part wrote: none was added, changed, or is another's.
    """
    folder = stack.output.parent
    before = tree(folder)
    yield
    for path in tree(folder) - before - {stack.output}:
        found = OURS.fullmatch(str(path.relative_to(stack.settings.data)))
        assert found, path
        assert found["pk"] is None or is_name(found["pk"]), path
    assert not [one for one in ("/tmp/invigil-was-here", "/tmp/x") if Path(one).exists()]
    for path in stack.settings.logs.glob("*.jsonl"):
        text = path.read_text("ascii")
        assert is_harmless(text), path
    proven = stack.invigil("audit", "--running")
    assert 0 == proven.returncode, proven.stdout


def settled(stack: Stack, entries: set[str]) -> bool:
    """Whether these were judged; results that other tests made up wait for their starts."""
    client: Any = stack.redis()
    [group] = client.xinfo_groups(keys.COMMANDS)
    found = client.xpending_range(keys.COMMANDS, keys.GROUP, "-", "+", 10_000)
    return not group["lag"] and entries.isdisjoint(one["message_id"].decode() for one in found)


def check(answer: RawAnswer, text: str) -> None:
    """See that nothing of an answer was made of the value, but a value in JSON."""
    assert answer.status < 500, answer
    names = {name.lower() for name, _ in answer.headers}
    assert names <= ANSWERED, names - ANSWERED
    assert all(is_harmless(value) and value.isascii() for _, value in answer.headers), answer
    assert len(names) == len(answer.headers) or answer.status >= 400, answer.headers
    kind = answer.header("Content-Type")
    if "json" in kind and "ndjson" not in kind:
        json.loads(answer.body)
    if "html" in kind:
        assert len(text) < 6 or raw(text) not in answer.body
    else:
        assert answer.body.isascii(), answer.body  # JSON in ASCII: no letter turns its line
        assert is_harmless(answer.body.decode().replace("\r", "")), answer.body


def try_at(stack: Stack, place: Place, text: str) -> None:
    """Send a value to a place, as a browser would write it and as it is."""
    for is_raw in (False, True) if place.is_in_target else (False,):
        check(raw_http.ask(stack.url, place.request(text, is_raw=is_raw)), text)


def test_no_call_is_left_out() -> None:
    """Every call that has a body says here what it is made of."""
    assert {one.id for one in OPERATIONS if one.body} == set(BODIES)
    assert {one.operation.id for one in PLACES} == {one.id for one in OPERATIONS}


@pytest.mark.parametrize(
    "operation", list(dict.fromkeys(one.operation.id for one in PLACES if one.is_own))
)
def test_every_field_of_a_call(stack: Stack, operation: str) -> None:
    """Whatever a call is given in its path, query, headers or body, the answer is an answer."""
    for place in [one for one in PLACES if one.operation.id == operation and one.is_own]:
        for text in TEXTS:
            try_at(stack, place, text)


@examples(250)
@given(place=st.sampled_from(PLACES), text=anything)
def test_any_text_anywhere(stack: Stack, place: Place, text: str) -> None:
    """The same for what all calls have alike, and for texts that nobody thought of."""
    try_at(stack, place, text)


def test_every_field_of_the_stream(stack: Stack) -> None:
    """
    Whatever a field of the stream holds, it is judged or set aside; and so it is seen to be: in
    lists for people, as JSON, and over HTTP.
    """
    client: Any = stack.redis()
    added = [
        (name, client.xadd(keys.COMMANDS, entry(name, text)).decode())
        for name in ON_STREAM
        for text in TEXTS
        if name != "unknown" or text
    ]
    names = [raw(text) for text in TEXTS]
    added += [("name", client.xadd(keys.COMMANDS, {name: b"x"}).decode()) for name in names]
    wait_until(
        partial(settled, stack, {own for _, own in added}), timeout_s=60, saying="all are judged"
    )

    for _, name in added[:: len(TEXTS) // 5]:
        check(
            raw_http.ask(stack.url, raw_http.written("GET", b"/commands/" + name.encode(), [])), ""
        )
    letters: Any = client.xrange(keys.DEAD)
    assert len(letters) > len(TEXTS)
    shown = stack.invigil("dead", "list")
    assert len(letters) == len(shown.stdout.splitlines()) == shown.stdout.count("\n")
    assert is_harmless(shown.stdout)
    as_json = stack.invigil("dead", "list", "--json").stdout
    assert as_json.isascii()
    assert len(letters) == len([json.loads(line) for line in as_json.splitlines()])


def test_one_dead_letter(stack: Stack) -> None:
    """A letter whose every field is hostile is shown whole, each of them in one line."""
    all_of_it = raw("".join(text for text in TEXTS if len(text) < 100))
    fields = {raw(f"{text}!"): raw(f"{text}.") for text in TEXTS}
    client: Any = stack.redis()
    own = client.xadd(keys.COMMANDS, {b"type": all_of_it, b"data": all_of_it, **fields})
    [letter] = wait_until(
        lambda: [name for name, said in client.xrange(keys.DEAD) if said[b"entry"] == own],
        saying="it was set aside",
    )

    shown = stack.invigil("dead", "show", letter.decode())

    assert is_harmless(shown.stdout)
    assert 0 == shown.returncode
    lines = shown.stdout.splitlines()
    assert len(fields) + 2 == len([one for one in lines if one.startswith("field ")])
    ours = {one.partition(": ")[0] for one in lines if not one.startswith("field ")}
    head = {"id", "type", "command_id", "entry", "at", "reason", "deliveries", "at_ms", "fault"}
    assert head == ours


@pytest.mark.parametrize("queue", QUEUES)
def test_what_is_put_into_a_queue(stack: Stack, tmp_path: Path, queue: str) -> None:
    """
    A message that is none of ours is refused, each with a line, and nothing of it runs; the worker
    lives on and does what comes behind it.

    Celery once ended with some of these, and with one took its connection for lost for ever.
    """
    touched = tmp_path / "touched"
    bad = {**queue_messages.unserialized(touched), **queue_messages.misshapen()}
    texts_of_it = [json.dumps(one) for one in bad.values()] + list(queue_messages.NO_JSON)
    before, own = len(refusals(stack, queue)), stack.pid(f"worker-{queue}")

    stack.redis().lpush(keys.CELERY + queue, *texts_of_it)

    wait_until(
        lambda: len(refusals(stack, queue)) == before + len(texts_of_it),
        saying="each has a line that says that it was refused",
    )
    probe(stack, queue)
    assert not touched.exists()
    assert own == stack.pid(f"worker-{queue}")
    assert not stack.lines("part_exited")
    assert not stack.lines(level="critical")


def test_bell_for_many_exams(stack: Stack) -> None:
    """Thousands of names of exams that there are not make no file, and no worker ends of them."""
    bell = queue_messages.message(queue_messages.body([f"nobody-{n}" for n in range(3000)]))
    stack.redis().lpush(keys.CELERY + keys.QUEUE_EXAM, json.dumps(bell))

    probe(stack, keys.QUEUE_EXAM)
    assert not list(stack.settings.exams.glob("*/nobody-*"))


def test_inbox_of_another_folder(stack: Stack) -> None:
    """Not even an inbox and a bell for it, both forged, make a file outside the store."""
    pk = "../../escaped"
    letter = json.dumps(["c", None, "exam.start", 60])
    client: Any = stack.redis()
    client.hset(keys.inbox(pk), "1-0", f"1 {letter}")
    bell = queue_messages.message(queue_messages.body([pk]))

    client.lpush(keys.CELERY + keys.QUEUE_EXAM, json.dumps(bell))

    probe(stack, keys.QUEUE_EXAM)
    client.delete(keys.inbox(pk))
    assert not [path for path in tree(stack.output.parent) if "escaped" in path.name]


def refusals(stack: Stack, queue: str) -> list[dict[str, Any]]:
    """Lines of a queue's worker about messages that it refused."""
    return stack.lines("message_refused", part=f"worker-{queue}")


def probe(stack: Stack, queue: str) -> None:
    """See that a queue's worker does what it is given."""
    number = len(stack.lines())
    match queue:
        case keys.QUEUE_EXAM:
            pk = f"probe-{number}"
            stack.post("/exams", {"pk": pk, "duration": 600})
            wait_until(partial(stack.has_status, pk, "started"), saying="the next exam is done")
        case keys.QUEUE_SLOW:
            stack.post("/echo", {"text": f"probe-{number}", "delay": 0})
            found = partial(stack.lines, "echo_printed", text=f"probe-{number}")
            wait_until(found, saying="the next echo is done")
        case _:
            before = digests(stack)
            own = queue_messages.headers(task="tasks.mail")
            call = queue_messages.message(queue_messages.body(), headers=own)
            stack.redis().lpush(keys.CELERY + queue, json.dumps(call))
            wait_until(lambda: digests(stack) > before, saying="the next digest is done")


def digests(stack: Stack) -> int:
    """How many digests went out, or had gone out."""
    return len(stack.lines("mail_sent") + stack.lines("mail_skipped"))
