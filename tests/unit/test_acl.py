"""The rules of Redis' users, and what differs from them."""

import re

import pytest

from ops import acl, keys, probe
from ops.acl import BadAcl
from ops.roles import ROLES, Role

PASSWORDS = {role: f"secret of the {role}" for role in Role}
LINES = acl.render(PASSWORDS, default=acl.NO_DEFAULT)
TEXT = "\n".join(LINES)


def test_no_password_is_written() -> None:
    """The server's file has hashes alone."""
    assert "secret" not in TEXT
    assert all(acl.digest(password) in TEXT for password in PASSWORDS.values())


def test_producer_adds_commands_and_nothing_else() -> None:
    """Of all keys a producer has one, and of all commands for it one."""
    assert [("xadd", keys.COMMANDS)] == [
        (call.command, call.key) for call in probe.needs(Role.PRODUCER) if call.key
    ]


@pytest.mark.parametrize("role", Role)
def test_no_role_has_what_none_needs(role: Role) -> None:
    """Nobody empties, configures or searches a server, publishes, or has whole categories."""
    commands = {command for right in ROLES[role] for command in right.commands.split()}

    assert not commands & {"flushall", "flushdb", "config|get", "keys", "scan", "publish", "acl"}
    assert not [command for command in commands if command.startswith(("@", "acl|"))]
    assert not [name for right in ROLES[role] for name in right.keys if name in ("*", "invigil:*")]


@pytest.mark.parametrize("role", Role)
def test_every_right_can_be_asked_for(role: Role) -> None:
    """What a role may do is asked of a server, but for what a transaction cannot ask."""
    commands = {command for right in ROLES[role] for command in right.commands.split()}

    assert commands - probe.OUTSIDE <= set(probe.WORDS)


def test_as_the_server_writes_it() -> None:
    """A file that the server itself has written, in its order and with its words, is ours."""
    theirs = [
        re.sub(r"^user (\S+) on (#\S+)", r"user \1 on sanitize-payload \2 alldbs", line)
        .replace("(resetchannels -@all", "(alldbs resetchannels -@all")
        .replace("+multi +ping", "+ping +multi")
        for line in reversed(LINES)
    ]

    assert theirs != LINES[::-1]
    assert ["user me on nopass"] == acl.check("\n".join([*theirs, "", "user me on nopass"]), LINES)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (" +multi", " +flushall +multi", r"line 2: user invigil-gateway has \+flushall$"),
        (" +multi", "", r"line 2: user invigil-gateway lacks \+multi$"),
        (
            " +hsetnx)",
            " +hsetnx ~*)",
            r"has \(\+hlen \+hsetnx ~\* ~invigil:damaged\), lacks \(\+hlen",
        ),
        (" on #", " on nopass #", r"user invigil-gateway has nopass$"),
        (" on #", " off #", r"user invigil-gateway has off, lacks on$"),
        (" on #", " on #ab", r"has another password, lacks another password$"),
        ("user default off", "user default on", r"line 1: user default has on, lacks off$"),
        ("user invigil-gateway", "user invigil-guest", "line 2: there is no role for user"),
        ("user invigil-gateway", "users", "line 2: begins with no 'user NAME'"),
    ],
)
def test_edited_by_hand(old: str, new: str, said: str) -> None:
    """What differs is said: the line, the user, and the rule, but no hash of a password."""
    assert old in TEXT
    with pytest.raises(BadAcl, match=said) as caught:
        acl.check(TEXT.replace(old, new, 1), LINES)

    assert not re.search("[0-9a-f]{20}", str(caught.value))
