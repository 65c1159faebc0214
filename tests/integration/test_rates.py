"""Rates at the gateway: what is too much is refused before anything is taken, and said once."""

from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs
from support.gateway import Http, problem
from support.keyed import id_of, make, serving

from ingest import keyring, rates
from ingest.access import Scope
from ingest.rates import Peer
from ops import keys
from ops.settings import Settings

LINE = b'{"type":"echo","data":{"text":"hi"}}\n'
NDJSON = {"Content-Type": "application/x-ndjson"}
TOO_MANY = (429, "too-many-requests")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """See each key at once."""
    monkeypatch.setattr(keyring, "BELIEVED_S", 0.0)


async def sent(http: Http, header: dict[str, str], *, times: int) -> list[int]:
    """Send as many echoes; the statuses of the answers."""
    answers = [await http.post("/echo", json={"text": "x"}, headers=header) for _ in range(times)]
    return [answer.status for answer in answers]


async def test_too_many_with_a_key(server: Settings, client: Redis, tmp_path: Path) -> None:
    """A request too many is 429 with its time, and not taken; other keys, and probes, go on."""
    first, second = make(tmp_path, Scope.WRITE), make(tmp_path, Scope.WRITE)
    async with serving(tmp_path, server.redis, key_rate="3/minute") as http:
        assert [202, 202, 202, 429, 429] == await sent(http, first, times=5)
        refused = await http.get("/exams/a", headers=first)
        assert TOO_MANY == await problem(refused)
        assert 1 <= int(refused.headers["Retry-After"]) <= 20
        assert [202] == await sent(http, second, times=1)
        probes = [await http.get(path) for path in ("/livez", "/readyz") for _ in range(10)]
    assert {200} == {probe.status for probe in probes}
    assert 4 == client.xlen(keys.COMMANDS)


async def test_too_many_from_an_address(
    server: Settings, client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys share the rate of their address, which is that of the connection, whatever is said."""
    monkeypatch.setattr(rates, "peer_of", lambda address: Peer(address, is_local=False))
    senders = [make(tmp_path, Scope.WRITE) | {"X-Forwarded-For": f"192.0.2.{n}"} for n in range(4)]
    async with serving(tmp_path, server.redis, address_rate="3/minute") as http:
        statuses = [status for one in senders for status in await sent(http, one, times=1)]
    assert [202, 202, 202, 429] == statuses
    assert 3 == client.xlen(keys.COMMANDS)


async def test_nobody_needs_a_key(server: Settings, client: Redis, tmp_path: Path) -> None:
    """Where nobody needs a key, on this machine, there is no rate."""
    async with serving(tmp_path, server.redis, key_rate="1/hour", address_rate="1/hour") as http:
        assert [202] * 5 == await sent(http, {}, times=5)


async def test_guessing(server: Settings, client: Redis, tmp_path: Path) -> None:
    """Who guesses is told to stop; a good key is let in from there, and no line has a guess."""
    good = make(tmp_path, Scope.WRITE)
    reader = make(tmp_path, Scope.READ)
    wrong = {"Authorization": good["Authorization"][:-4] + "AAAA"}
    with capture_logs() as lines:
        async with serving(tmp_path, server.redis, denied_rate="3/hour") as http:
            assert [401, 401, 403, 429, 429] == [
                *await sent(http, wrong, times=2),
                *await sent(http, reader, times=2),
                *await sent(http, {}, times=1),
            ]
            assert [429] * 50 == await sent(http, wrong, times=50)
            assert 429 == (await http.post("/livez")).status
            assert [200, 200] == [(await http.get(one)).status for one in ("/livez", "/readyz")]
            assert [202] * 3 == await sent(http, good, times=3)

    told = [(line["event"], line.get("refused")) for line in lines if line["event"] != "accepted"]
    denied = [("access_denied", None)] * 3
    assert [*denied, ("rate_exceeded", None), ("rate_kept", 53)] == told
    secrets = [one["Authorization"].split("_", 2)[2] for one in (good, reader, wrong)]
    assert not any(secret in str(lines) for secret in secrets)
    assert 3 == client.xlen(keys.COMMANDS)


async def test_a_body_is_held_up(server: Settings, client: Redis, tmp_path: Path) -> None:
    """A body with more lines than its key may send in a second is taken, and taken whole."""
    header = make(tmp_path, Scope.WRITE)
    async with serving(tmp_path, server.redis, key_rate="500/second") as http:
        response = await http.post("/commands", data=LINE * 1_250, headers={**header, **NDJSON})
        answers = (await response.text()).splitlines()
    assert 1_250 == len([one for one in answers if '"entry"' in one]) == client.xlen(keys.COMMANDS)


async def test_a_body_waits_too_long(
    server: Settings, client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that is more than its key may send in half a minute is taken up to there."""
    monkeypatch.setattr(rates, "PATIENCE_S", 0.0)
    header = make(tmp_path, Scope.WRITE)
    async with serving(tmp_path, server.redis, key_rate="500/hour") as http:

        async def send(lines: int) -> Any:
            return await http.post("/commands", data=LINE * lines, headers={**header, **NDJSON})

        *taken, last = (await (await send(600)).text()).splitlines()
        again = await send(1)

        assert len(taken) == client.xlen(keys.COMMANDS) <= 500
        assert '"status":429' in last
        assert f"with the key {id_of(header)}" in last
        if client.xlen(keys.COMMANDS) == 500:
            assert TOO_MANY == await problem(again)
            assert 1 <= int(again.headers["Retry-After"]) <= 8
