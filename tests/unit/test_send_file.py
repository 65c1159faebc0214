"""Ids of a file's commands: the same at each run, and nobody else's."""

import json

import pytest

from ingest import lines
from ingest.lines import Line, Splitter
from ops.gateway_client import url_of
from ops.send_file import Namer
from ops.settings import Settings

START = b'{"type":"exam.start","data":{"pk":"math-7"}}'
ECHO = b'{"type":"echo","data":{"text":"hi"}}'


def named(body: bytes, source: str | None = None) -> list[Line]:
    """The lines of a file as they are sent."""
    namer, splitter = Namer(source), Splitter()
    chunks = [*splitter.feed(body), *splitter.end()]
    return [namer.name(line) for chunk in chunks for line in chunk.lines()]


def ids(body: bytes) -> list[str | None]:
    """The commands' ids."""
    return [lines.read(line.text).id for line in named(body) if line.text]


def test_each_has_its_own() -> None:
    """Equal lines of one file are commands of their own; an exam's id begins with its name."""
    [first, second, third] = ids(b"\n".join([START, ECHO, ECHO]))

    assert len({first, second, third}) == 3
    assert first
    assert first.startswith("math-7.")
    assert second
    assert "." not in second


def test_again_the_same() -> None:
    """The same file gives the same ids; so does what it had before it grew."""
    before = START + b"\n" + ECHO

    assert ids(before) == ids(before)
    assert ids(before + b"\n" + ECHO)[:2] == ids(before)


@pytest.mark.parametrize("other", [ECHO + b"\n" + ECHO, b"\n" + START + b"\n" + ECHO])
def test_another_file(other: bytes) -> None:
    """What stands before a command, and at which line, makes it another one."""
    assert ids(START + b"\n" + ECHO)[-1] != ids(other)[-1]


def test_own_id_stays() -> None:
    """A command that has an id and a source keeps them, to the last byte."""
    line = b'{"type":"echo", "data":{"text":"\xc3\xa9"}, "id":"mine","source":"me"}'

    assert named(line, "other") == [Line(1, line)]


@pytest.mark.parametrize(
    "line",
    [
        b'  {"type":"echo","data":{"text":"\xc3\xa9\\ud83d\\ude00 {","delay":1.50}}\r',
        b'{"id":null,"source":null,"type":"echo","data":{"text":"\xc3\xa9\\ud83d\\ude00 {"}}',
    ],
)
def test_nothing_else_changes(line: bytes) -> None:
    """A command gets id and source, and is else what it was."""
    [one] = named(line, "me")

    assert one.text
    found, given = lines.read(one.text), lines.read(line)
    assert (found.data, found.source) == (given.data, "me")
    assert found.id


@pytest.mark.parametrize("line", [b"{}", b'{"data":{"pk":"../a"}}', b'{"data":{"pk":7}}'])
def test_what_lacks_more(line: bytes) -> None:
    """A command that lacks more than an id gets one that the gateway takes."""
    [one] = named(line)

    assert one.text
    assert len(json.loads(one.text)["id"]) == 36


@pytest.mark.parametrize("line", [b"[]", b"7", b'{"a":1,"a":2}', b"{", b"\xff"])
def test_no_command(line: bytes) -> None:
    """What is no object goes out as it is: the gateway says what is wrong with it."""
    assert named(line) == [Line(1, line)]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
    ],
)
def test_gateway_of_the_settings(host: str, url: str) -> None:
    """A gateway that listens for everyone is found on this machine."""
    assert url_of(Settings(host=host, port=8080)) == url
