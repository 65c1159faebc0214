"""What a line must not hold, or not all of."""

import json
from typing import Any

import pytest

from ops.hygiene import LONGEST_TEXT, LONGEST_TRACEBACK, redact, render, shorten


def rendered(**keys: Any) -> dict[str, Any]:
    """The line with these keys, read back."""
    line: dict[str, Any] = json.loads(render(keys))
    return line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mail to ada@school.example now", "mail to [mail address] now"),
        ("ada.l+x@localhost, bob@a-b.c-d.org.", "[mail address], [mail address]."),
        ("redis://me:geheim@host:6379/0", "redis://***@host:6379/0"),
        ("Authorization: Bearer abc.DEF-123==", "Authorization: Bearer ***"),
        ("Basic dXNlcjpwYXNz", "Basic ***"),
        ("exam-12@host ready, 5 @ 3, a basic fact", "exam-12@host ready, 5 @ 3, a basic fact"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    """Mail addresses, logins and tokens are hidden; the rest stays."""
    assert shown == redact(text)
    assert shown == rendered(text=text)["text"]
    assert [[shown]] == rendered(list=[[text]])["list"]
    assert shown == rendered(settings={"a": text})["settings"]["a"]


@pytest.mark.parametrize("name", ["password", "token", "authorization", "cookie", "secret"])
def test_secret_key(name: str) -> None:
    """What such a key holds is never shown."""
    assert {name: "***", "pk": "a"} == rendered(**{name: "geheim", "pk": "a"})


@pytest.mark.parametrize(
    ("key", "most"), [("text", LONGEST_TEXT), ("exception", LONGEST_TRACEBACK)]
)
def test_long_value(key: str, most: int) -> None:
    """A megabyte cannot flood a line: its beginning, its end and its length are shown."""
    value = rendered(**{key: "a" * 500_000 + "b" * 500_000})[key]

    assert len(value) < most + 50
    assert value.startswith("aaa")
    assert value.endswith("bbb")
    assert "[1,000,000 characters]" in value


@pytest.mark.parametrize(
    "values",
    [[], ["a", "b c"], ["é"], ["a@school.example"], [1], ["a", None], [["a"], "Bearer abcdefgh"]],
)
def test_list(values: list[Any]) -> None:
    """A list of names is written as everyone writes it, and what it must not hold is hidden."""
    shown = json.loads(
        json.dumps(values).replace("a@school.example", "[mail address]").replace("abcdefgh", "***")
    )

    assert render({"list": values}).decode() == json.dumps({"list": shown})


def test_long_list() -> None:
    """Many short values are no flood of a single one; they stay."""
    assert [f"exam-{n}" for n in range(900)] == rendered(pks=[f"exam-{n}" for n in range(900)])[
        "pks"
    ]


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "short", [1, None], {"a": 1}])
def test_plain_value(value: object) -> None:
    """What needs nothing is left as it is, also in a line that is looked at closely."""
    assert value == rendered(value=value)["value"]
    assert value == rendered(value=value, text="x" * 5000)["value"]


def test_shorten() -> None:
    """A text of just the length is whole."""
    assert ("x" * 10, 10) == (shorten("x" * 10, most=10), 10)
    assert "xxxxx [11 characters] xxxxx" == shorten("x" * 11, most=10)
