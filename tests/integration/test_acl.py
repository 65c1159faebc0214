"""Redis' users: each role may do what it needs, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions
from click.testing import CliRunner, Result
from support import users
from support.breakable import Breakable
from support.client import Client
from support.server import is_valkey

from ops import keys, preflight, probe
from ops.acl_cli import group
from ops.connect import connect, is_away
from ops.preflight import Refusal
from ops.probe import Call
from ops.roles import Role
from ops.settings import Settings

#: What no role may do, whatever it is for.
NOBODYS = [
    *("FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET maxmemory 1", "KEYS *", "SCAN 0"),
    *("ACL LIST", "ACL WHOAMI", "MONITOR", "SHUTDOWN NOSAVE", "SAVE"),
    *("REPLICAOF NO ONE", "MODULE LIST", "CLIENT KILL TYPE normal", "SCRIPT FLUSH"),
    *("PUBLISH invigil:celery:to-all:celery.pidbox shutdown", "SWAPDB 0 1", "FUNCTION LIST"),
    *("GET others:key", "SET others:key x", "DEL others:key", "DUMP invigil:commands"),
    *("DEL invigil:commands", "RENAME invigil:commands x", "XSETID invigil:commands 1-1"),
    *("COPY invigil:dead others:key", "XGROUP DESTROY invigil:commands dispatcher"),
    "MIGRATE localhost 1 invigil:commands 0 1",
]
#: What somebody may do, and a producer may not.
NOT_A_PRODUCERS = [
    *("EVAL return 0", "EVALSHA x 0", "SCRIPT LOAD x", "INFO", "CLIENT LIST", "TIME"),
    *("XRANGE invigil:commands - +", "XLEN invigil:commands", "XREAD STREAMS invigil:commands 0"),
    *("XDEL invigil:commands 1-1", "XTRIM invigil:commands MAXLEN 0", "XADD invigil:dead * a b"),
    *("XGROUP CREATE invigil:commands g 0", "XACK invigil:commands dispatcher 1-1"),
    *("XADD invigil:events * type exam.pass", "XREAD STREAMS invigil:events 0"),
    *("ZADD invigil:deadlines 1 a", "ZREM invigil:deadlines a", "HSET invigil:times 1-1 0"),
    *("HSET invigil:inbox:a 1-1 x", "SET invigil:lease:dispatcher me", "GET invigil:once:a"),
    *("LPUSH invigil:celery:exam x", "BRPOP invigil:celery:exam 1"),
]


@pytest.fixture(params=["logs in", "does not"])
def producer(server: Settings, client: Client, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A producer who has logged in, and on the server that we bring who has not."""
    if request.param == "logs in":
        yield users.as_role(client, Role.PRODUCER)
        return
    if not is_valkey():
        pytest.skip("this server's default user has every right, or it would forget transactions")
    with connect(server.redis) as producer:
        yield producer


@pytest.mark.parametrize("role", Role)
def test_role_may_do_what_it_needs(client: Client, server: Settings, role: Role) -> None:
    """Of all commands and keys that there are a role may use those of its table, and no others."""
    asked = probe.everything()

    refused = set(probe.refused(server, role, asked))

    assert [call for call in asked if probe.may(role, call)] == [
        call for call in asked if call not in refused
    ]
    assert [] == probe.refused(server, role, probe.needs(role))


@pytest.mark.parametrize("command", NOBODYS)
def test_nobody_may(client: Client, command: str) -> None:
    """What would empty, spy on or take over the server is refused to every role."""
    for role in Role:
        with pytest.raises(redis.exceptions.NoPermissionError):
            users.as_role(client, role).execute_command(*command.split())


@pytest.mark.parametrize("command", [*NOBODYS, *NOT_A_PRODUCERS])
def test_producer_may_not(producer: Client, command: str) -> None:
    """A producer on the socket reads nothing, and adds to nothing but the commands."""
    with pytest.raises(redis.exceptions.NoPermissionError):
        producer.execute_command(*command.split())


def test_producer_may_add(client: Client, producer: Client) -> None:
    """Nobody else's keys, no script: but a command is on the stream."""
    entry = producer.xadd(keys.COMMANDS, {"type": "exam.start", "data": "{}"})

    assert [entry] == [name for name, _ in client.xrange(keys.COMMANDS)]


def test_script_has_its_callers_rights(client: Client, server: Settings) -> None:
    """Who may run scripts may do nothing more in one; and what is refused there can be cured."""
    gateway = users.as_role(client, Role.GATEWAY)

    with pytest.raises(redis.exceptions.ResponseError) as caught:
        gateway.eval("return redis.call('DEL', KEYS[1])", 1, keys.COMMANDS)

    assert is_away(caught.value)


def test_asking_does_nothing(client: Client, server: Settings) -> None:
    """A server that was asked about all commands for all keys is as empty as before."""
    for role in Role:
        probe.refused(server, role, probe.everything())

    assert 0 == client.dbsize()


@pytest.fixture
def own(breakable: Breakable) -> Iterator[tuple[Client, Settings]]:
    """A server of an operator's own: the administrator, and the settings for it."""
    with users.admin(breakable.url) as client:
        yield client, users.of(breakable.url).model_copy(update={"port": 0})


def test_up_says_what_is_refused(own: tuple[Client, Settings]) -> None:
    """A user who lacks a right stops `up` before anything starts, in a line that says which."""
    client, settings = own
    client.execute_command("ACL", "SETUSER", Role.DISPATCHER.user, "clearselectors")

    with pytest.raises(Refusal, match=r"user invigil-dispatcher what the dispatcher needs: ") as no:
        preflight.complete(settings)

    assert "DEL invigil:lease:dispatcher" in str(no.value)
    assert "invigil acl create" in str(no.value)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (["-multi"], r"refuses its user invigil-worker what the worker needs: MULTI, PING, "),
        (["resetpass", ">another"], r"does not let in user invigil-worker: .*; make users with"),
        (["off"], r"does not let in user invigil-worker"),
    ],
)
def test_up_says_who_is_not_let_in(
    own: tuple[Client, Settings], rules: list[str], said: str
) -> None:
    """Whom the server lets nothing do stops `up`, too; no password is shown."""
    client, settings = own
    client.execute_command("ACL", "SETUSER", Role.WORKER.user, *rules)

    with pytest.raises(Refusal, match=said) as caught:
        preflight.complete(settings)

    assert settings.redis_users
    passwords = json.loads(settings.redis_users.read_text())["passwords"]
    assert not [password for password in passwords.values() if password in str(caught.value)]


def test_one_user_for_all_parts(own: tuple[Client, Settings]) -> None:
    """Without a file of logins the user of REDIS_URL has to have all rights that the parts need."""
    client, settings = own
    url = f"{settings.redis}?username=one&password=x"
    alone = settings.model_copy(update={"redis_url": url, "redis_users": None})
    client.execute_command("ACL", "SETUSER", "one", "on", ">x", "~invigil:*", "&*", "+@all")
    preflight.complete(alone)

    client.execute_command("ACL", "SETUSER", "one", "-xadd")
    with pytest.raises(Refusal, match="refuses its user what the gateway needs: XADD invigil:com"):
        preflight.complete(alone)


@pytest.fixture
def folder(breakable: Breakable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with the users that `invigil acl create` made, which the server has loaded."""
    monkeypatch.setenv("REDIS_URL", breakable.url)
    made = invigil("create", str(tmp_path / "acl"), "--json")
    assert 0 == made.exit_code, made.output
    told: dict[str, Any] = json.loads(made.stdout)
    assert {role.user for role in Role} == {user["user"] for user in told["users"]}
    with (tmp_path / "acl" / "users.acl").open("a") as file:
        file.write(f"{users.ADMIN_LINE}\n")
    (breakable.folder / "users.acl").write_text((tmp_path / "acl" / "users.acl").read_text())
    with users.admin(breakable.url) as client:
        client.acl_load()
    monkeypatch.setenv("INVIGIL_REDIS_USERS", str(tmp_path / "acl" / "redis-users.json"))
    return tmp_path / "acl"


def invigil(*arguments: str) -> Result:
    """Run `invigil acl`."""
    return CliRunner().invoke(group, arguments)


def test_created_users_work(folder: Path) -> None:
    """What was made, and loaded, is right; and who does not log in may do nothing."""
    checked = invigil("check", str(folder))

    assert (0, "each role may do what it needs, and no more\n") == (
        checked.exit_code,
        checked.output,
    )
    with (
        connect(Settings.read().redis) as nobody,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        nobody.xadd(keys.COMMANDS, {"type": "exam.start", "data": "{}"})


def test_check_finds_what_was_edited(folder: Path, breakable: Breakable) -> None:
    """A right too many and one too few, in the file and on the server, are named."""
    path = folder / "users.acl"
    path.write_text(path.read_text().replace("+xdel", "+xdel +xtrim", 1))
    with users.admin(breakable.url) as client:
        client.execute_command("ACL", "SETUSER", Role.PRODUCER.user, "allkeys", "+get", "-select")

    checked = invigil("check", str(folder))

    assert 1 == checked.exit_code
    assert f"{path} was edited by hand: line 7: user invigil-operator has (" in checked.output
    lines = checked.output.splitlines()
    assert f"invigil-producer may, but should not: {Call('get', probe.NOT_OURS)}" in lines
    assert "invigil-producer may not, but has to: SELECT" in lines
    assert not [line for line in lines if "invigil-worker" in line]


def test_create_again(folder: Path) -> None:
    """New passwords for our users, and those of others stay."""
    before = (folder / "users.acl").read_text()

    invigil("create", str(folder))

    after = (folder / "users.acl").read_text()
    assert before != after
    assert users.ADMIN_LINE == before.splitlines()[-1] == after.splitlines()[-1]
    assert 1 == invigil("check", str(folder)).exit_code  # the server has the old ones
