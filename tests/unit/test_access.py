"""Keys: what is kept of them, who is let in, and what somebody else's list is."""

import json
from dataclasses import replace

import pytest

from ingest import access
from ingest.access import (
    BadKeys,
    Denied,
    Keys,
    Scope,
    TooManyKeys,
    dump,
    identify,
    load,
    new_key,
    revoke,
    to_forget,
)

NOW_MS = 1_000


def made(scope: Scope = Scope.WRITE, *, expires_ms: int | None = None) -> tuple[Keys, str]:
    """Make a list of one key, and the header that shows it."""
    key, token = new_key("room", scope, now_ms=0, expires_ms=expires_ms)
    return {key.id: key}, f"Bearer {token}"


def reason(keys: Keys, header: str | None, *, now_ms: int = NOW_MS) -> str:
    """Say why somebody is not let in."""
    with pytest.raises(Denied) as denied:
        identify(keys, header, now_ms=now_ms)
    return str(denied.value)


def test_a_key_is_known() -> None:
    """Who shows a key is known by it, also after it was written and read, in any spelling."""
    keys, header = made()
    kept = load(dump(keys))

    assert keys == kept
    for shown in (header, header.replace("Bearer", "bearer"), header.replace(" ", "  ")):
        assert [identify(kept, shown, now_ms=NOW_MS)] == list(keys.values())


def test_no_secret_is_kept() -> None:
    """What is written holds nothing with which anybody could call."""
    keys, header = made()

    assert header.rpartition("_")[2] not in dump(keys)


def test_two_keys_differ() -> None:
    """No two keys have the same id or secret."""
    both = [made() for _ in range(200)]

    assert 200 == len({header for _, header in both}) == len({next(iter(k)) for k, _ in both})


@pytest.mark.parametrize("change", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), str.upper])
def test_a_wrong_secret(change: "type[str]") -> None:
    """One character makes it another key."""
    keys, header = made()

    assert reason(keys, f"Bearer {change(header.split()[1])}")


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic YTpi", "inv_00000000_x", "Bearer x", "Bearer inv__"],
)
def test_no_key_at_all(header: str | None) -> None:
    """What is no key is told how to show one."""
    assert "Bearer" in reason(made()[0], header)


def test_another_list() -> None:
    """A key of another system is unknown here."""
    assert "the key is unknown" == reason(made()[0], made()[1])


def test_an_expired_key() -> None:
    """A key ends with its moment."""
    keys, header = made(expires_ms=NOW_MS)

    assert identify(keys, header, now_ms=NOW_MS - 1)
    assert "is expired" in reason(keys, header)


def test_a_revoked_key() -> None:
    """A key that was taken back is none, for good, and keeps the moment of the first time."""
    keys, header = made()
    [key_id] = keys
    revoked = revoke(revoke(keys, key_id, now_ms=5), key_id, now_ms=6)

    assert "is revoked" in reason(revoked, header)
    assert 5 == revoked[key_id].revoked_ms
    with pytest.raises(KeyError):
        revoke(keys, "00000000", now_ms=5)


@pytest.mark.parametrize("scope", Scope)
def test_scopes_are_ordered(scope: Scope) -> None:
    """Each scope includes itself and those before it."""
    order = [Scope.READ, Scope.WRITE, Scope.ADMIN]

    assert [scope.includes(other) for other in order] == [
        order.index(other) <= order.index(scope) for other in order
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda text: text[:-5],
        lambda _: "[]",
        lambda _: '{"keys": [1], "x": 1}',
        lambda text: text.replace('"write"', '"root"'),
        lambda text: text.replace('"created_ms": 0', '"created_ms": "0"'),
        lambda text: text.replace('"expires_ms": null', '"expires_ms": ""'),
        lambda text: text.replace('"hash": "', '"hash": "x'),
        lambda text: text.replace('"name"', '"title"'),
        lambda text: json.dumps({"keys": json.loads(text)["keys"] * 2}),
        lambda _: "[" * 100_000,
    ],
)
def test_somebody_elses_list(spoil: "type[str]") -> None:
    """A list that was edited into something else is not read at all."""
    with pytest.raises(BadKeys):
        load(spoil(dump(made()[0])))


def test_expired_and_revoked() -> None:
    """What was revoked says so, also when it would have expired by now."""
    [key] = made(expires_ms=5)[0].values()

    assert ["valid", "expired"] == [key.state(4), key.state(5)]
    assert "revoked" == replace(key, revoked_ms=3).state(5)


def many(monkeypatch: pytest.MonkeyPatch, *, most: int) -> dict[str, access.ApiKey]:
    """Make as many keys as may be."""
    monkeypatch.setattr(access, "MOST_KEYS", most)
    made = (new_key(str(number), Scope.READ, now_ms=0)[0] for number in range(most))
    return {key.id: key for key in made}


def test_no_more_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list may be full; one with a key more is none, and none can be added to a full one."""
    keys = many(monkeypatch, most=3)
    assert keys == load(dump(keys))

    with pytest.raises(TooManyKeys, match=r"3 keys.*revoke"):
        to_forget(keys, now_ms=NOW_MS)
    with pytest.raises(BadKeys, match=r"4 keys; 3"):
        load(dump({**keys, **made()[0]}))


def test_what_has_ended_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that have ended are kept for the list, and make room where it is full."""
    first, second, third = many(monkeypatch, most=3).values()
    keys = {
        first.id: first,
        second.id: replace(second, expires_ms=NOW_MS),
        third.id: replace(third, revoked_ms=1),
    }

    assert [second.id, third.id] == to_forget(keys, now_ms=NOW_MS)
    assert [third.id] == to_forget(keys, now_ms=NOW_MS - 1)
    assert [] == to_forget({first.id: first, second.id: second}, now_ms=NOW_MS)
