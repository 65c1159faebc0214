"""Rates: who may go on, who is told to wait, and what is remembered and said of whom."""

import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingest import floods, rates
from ingest.access import ApiKey, Scope, new_key
from ingest.problems import Refusal
from ingest.rates import Rates, peer_of
from ops.settings import Settings

HERE, NAT, OTHER = "127.0.0.1", "192.0.2.7", "192.0.2.8"


def made(**settings: str) -> Rates:
    """Make rates that are all off, but for those named."""
    off: dict[str, Any] = {"key_rate": "off", "address_rate": "off", "denied_rate": "off"}
    return Rates(Settings(**{**off, **settings}))


def key_of(scope: Scope = Scope.WRITE) -> ApiKey:
    """Make a key."""
    return new_key("room", scope, now_ms=0)[0]


def asked(limits: Rates, key: ApiKey, address: str | None, *, times: int) -> list[bool]:
    """Ask so many times; say of each whether it was let in."""
    return [not refusal(limits.check, key, address) for _ in range(times)]


def refusal(ask: Any, *args: object) -> Refusal | None:
    """Find what was said against something."""
    try:
        ask(*args)
    except Refusal as refused:
        return refused
    return None


def test_a_key_has_its_rate() -> None:
    """A key may send so many, from wherever; another one is not held against it."""
    limits, key = made(key_rate="2/hour"), key_of()

    assert [True, True, False, False] == [
        *asked(limits, key, NAT, times=2),
        *asked(limits, key, OTHER, times=2),
    ]
    assert [True] == asked(limits, key_of(), NAT, times=1)


def test_an_address_has_its_rate() -> None:
    """An address may send so many, with whatever keys; another one is not held against it."""
    limits = made(address_rate="2/hour")

    assert [[True], [True], [False]] == [asked(limits, key_of(), NAT, times=1) for _ in range(3)]
    assert [True] == asked(limits, key_of(), OTHER, times=1)


@pytest.mark.parametrize("address", [HERE, "127.9.9.9", "::1", "::ffff:127.0.0.1", None])
def test_this_machine_has_no_rate(address: str | None) -> None:
    """From this machine a key may send what it may: a proxy here speaks for many addresses."""
    limits = made(address_rate="1/hour")

    assert [True] * 3 == asked(limits, key_of(), address, times=3)


def test_who_is_told() -> None:
    """Who sends too many is told how many there may be, and when to come again."""
    limits, key = made(key_rate="1/minute"), key_of()
    limits.check(key, NAT)
    refused = refusal(limits.check, key, NAT)

    assert refused
    assert (429, 60) == (refused.problem.status, refused.retry_after_s)
    assert f"more than 1/minute came with the key {key.id}" in refused.problem.detail


def test_an_admin_key_has_none() -> None:
    """An operator gets in, and is not held up, whoever floods."""
    limits = made(key_rate="1/hour", address_rate="1/hour")
    asked(limits, key_of(), NAT, times=2)

    assert [True] * 3 == asked(limits, key_of(Scope.ADMIN), NAT, times=3)


def test_off() -> None:
    """Without rates as many as like may come."""
    limits, key = made(), key_of()

    assert all(asked(limits, key, NAT, times=2_000))
    assert not any(refusal(limits.deny, NAT) for _ in range(2_000))


def test_guessing_locks_nobody_out() -> None:
    """Where strangers guess they are told to stop; who has a key is let in from there as before."""
    limits, key = made(denied_rate="3/hour", address_rate="2/hour", key_rate="2/hour"), key_of()

    denied = [refusal(limits.deny, NAT) is None for _ in range(5)]

    assert [True, True, True, False, False] == denied
    assert [True, True, False] == asked(limits, key, NAT, times=3)
    assert refusal(limits.deny, OTHER) is None
    assert f"more than 3/hour from {NAT} were denied" in str(refusal(limits.deny, NAT))


def test_guessing_from_many_addresses() -> None:
    """All addresses together may be denied ten times as often as one; then nobody has a line."""
    limits = made(denied_rate="2/hour")

    refused = [refusal(limits.deny, f"192.0.2.{number}") for number in range(25)]

    assert [True] * 20 + [False] * 5 == [one is None for one in refused]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_peers(address: str, name: str) -> None:
    """Who has an IPv6 address has 2^64 of them: they are one."""
    assert (name, False) == peer_of(address)


async def test_lines_are_held_up() -> None:
    """A body is read as fast as its key may send, beside what the key sends one by one."""
    limits, key = made(key_rate="200/second"), key_of()
    began = time.monotonic()

    await limits.hold(key, 300)  # more than there may be at once, too

    assert time.monotonic() - began >= 0.49
    assert [True] == asked(limits, key, NAT, times=1)


async def test_lines_that_would_wait_too_long() -> None:
    """A body that would have to wait for minutes is told so at once; an operator's is not."""
    limits, key = made(key_rate="10/hour"), key_of()
    await limits.hold(key, 10)
    with pytest.raises(Refusal) as refused:
        await limits.hold(key, 1)

    assert 300 < refused.value.retry_after_s <= 360
    await limits.hold(key_of(Scope.ADMIN), 100)


async def test_lines_without_a_rate() -> None:
    """Where there is no rate a body is not held up."""
    await made().hold(key_of(), 1_000_000)


def addresses(first: int, count: int) -> Iterator[str]:
    """Give addresses that are all different."""
    return (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(first, first + count))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    However many addresses come, no more than the last ones are remembered.

    If they all were it would be four times as much, at least; some more is said of longer names.
    """
    monkeypatch.setattr(rates, "MOST", 200)
    monkeypatch.setattr(floods, "MOST_TOLD", 100)
    limits, key = made(address_rate="1/hour", denied_rate="1/hour"), key_of()

    def come(first: int, count: int) -> int:
        """Let addresses flood; give the bytes in use then."""
        with capture_logs():
            for address in addresses(first, count):
                for _ in range(2):
                    refusal(limits.check, key, address)
                    refusal(limits.deny, address)
        rates.peer_of.cache_clear()  # functools holds it to more than come here
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        full = come(0, rates.MOST)
        assert come(rates.MOST, 6 * rates.MOST) < 2 * full
    finally:
        tracemalloc.stop()


def test_a_flood_has_two_lines() -> None:
    """A flood is said when it begins, and counted when it is over; then a new one can begin."""
    limits, key = made(key_rate="1/hour"), key_of()
    with capture_logs() as lines:
        asked(limits, key, NAT, times=100)
        limits.tell_ended()
        assert ["rate_exceeded"] == [line["event"] for line in lines]
        limits.tell_ended(quiet_s=0)
        asked(limits, key, NAT, times=1)

    about = {"setting": "INVIGIL_KEY_RATE", "limit": "1/hour", "peer": NAT, "key": key.id}
    assert [
        {**about, "event": "rate_exceeded", "log_level": "warning"},
        {**about, "event": "rate_kept", "log_level": "info", "refused": 99},
        {**about, "event": "rate_exceeded", "log_level": "warning"},
    ] == lines


def test_many_floods_share_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Floods from more addresses than have lines of their own are told together; none is lost."""
    monkeypatch.setattr(floods, "MOST_TOLD", 3)
    limits = made(address_rate="1/hour")
    with capture_logs() as lines:
        for address in addresses(0, 50):
            asked(limits, key_of(), address, times=2)
        limits.tell_ended(quiet_s=0)

    told = [(line["peer"], line.get("refused")) for line in lines]
    first = [*addresses(0, 3)]
    assert [(one, None) for one in (*first, "everyone")] == told[:4]
    assert [*((one, 1) for one in first), ("everyone", 47)] == told[4:]


@pytest.mark.parametrize(
    ("rate", "lines"),
    [
        ("off", 0),
        ("1000/second", 1000),
        ("1100/minute", 550),
        ("200/minute", 100),
        ("600/hour", 100),
        ("50/hour", 50),
    ],
)
def test_lines_that_come_together(rate: str, lines: int) -> None:
    """So many as there is room for within half a minute; not so few that a slow key waits long."""
    assert lines == made(key_rate=rate).lines_at_once(key_of())
    assert 0 == made(key_rate=rate).lines_at_once(key_of(Scope.ADMIN))
