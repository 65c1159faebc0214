"""
ACL: the rules of `ops.roles` as Redis' ACL file has them, and what differs from them. Pure.

Source: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from ops.roles import ROLES, USERS, Right, Role

#: What says nothing that is not said anyway: a server adds some of them when it writes the file.
_NEUTRAL = frozenset({"user", "sanitize-payload", "resetchannels", "resetkeys", "alldbs", "-@all"})
_TOKEN = re.compile(r"\([^()]*\)|\S+")
DEFAULT = "default"


class BadAcl(ValueError):  # noqa: N818 - says what the file is
    """A file is no ACL file of ours any more; the message names the line, and what differs."""


@dataclass(frozen=True, slots=True)
class User:
    """
    A user's line, whatever its order.

    Attributes:
        rules: Outside of selectors, the state and the passwords' hashes among them.
        selectors: The rules of each.
    """

    name: str
    rules: frozenset[str] = field(default_factory=frozenset)
    selectors: frozenset[frozenset[str]] = field(default_factory=frozenset)


def render(passwords: Mapping[Role, str], *, default: str) -> list[str]:
    """
    Write the lines of all roles, with the hashes of their passwords.

    Args:
        default: The line of the user that clients are who do not log in.
    """
    return [default, *(line(role.user, role, f"on #{digest(passwords[role])}") for role in Role)]


def line(name: str, role: Role, state: str) -> str:
    """Write one user's line; *state* is whether it may log in, and with what."""
    general = [right for right in ROLES[role] if right.is_general]
    commands = " ".join(f"+{command}" for right in general for command in right.commands.split())
    selectors = " ".join(_selector(right) for right in ROLES[role] if not right.is_general)
    return f"user {name} {state} resetchannels -@all {commands} {selectors}"


def digest(password: str) -> str:
    """Hash a password as Redis keeps it."""
    return sha256(password.encode()).hexdigest()


def fingerprint() -> str:
    """Say which rules these are: another release may have others."""
    lines = [line(role.user, role, "on") for role in Role]
    return sha256("\n".join(lines).encode()).hexdigest()[:16]


def check(text: str, expected: list[str]) -> list[str]:
    """
    Compare an ACL file with the lines that it should have for our users.

    A user whose line is missing is none that was edited.

    Returns:
        The lines of users that are not ours, as they are.

    Raises:
        BadAcl: A user of ours has other rules than expected, or a line is none of a user.
    """
    wanted = {user.name: user for user in map(parse, expected)}
    for number, found in _numbered(text):
        if found.name in wanted:
            if differences := list(_differences(found, wanted[found.name])):
                raise BadAcl(f"line {number}: user {found.name} {', '.join(differences)}")
        elif found.name.startswith(USERS):
            raise BadAcl(f"line {number}: there is no role for user {found.name}")
    return others(text)


def others(text: str) -> list[str]:
    """
    Pick the lines of users that are not ours.

    Raises:
        BadAcl: A line is none of a user.
    """
    lines = text.splitlines()
    return [
        lines[number - 1]
        for number, user in _numbered(text)
        if user.name != DEFAULT and not user.name.startswith(USERS)
    ]


def parse(text: str) -> User:
    """
    Read a user's line.

    Raises:
        BadAcl: It is none.
    """
    tokens = _TOKEN.findall(text)
    if len(tokens) < 2 or tokens[0] != "user":
        raise BadAcl("begins with no 'user NAME'")
    rules = [token for token in tokens[2:] if not token.startswith("(")]
    selectors = [token[1:-1].split() for token in tokens[2:] if token.startswith("(")]
    meant = (frozenset(selector) - _NEUTRAL for selector in selectors)
    return User(tokens[1], frozenset(rules) - _NEUTRAL, frozenset(meant))


def _numbered(text: str) -> Iterator[tuple[int, User]]:
    for number, text_line in enumerate(text.splitlines(), 1):
        if text_line.strip():
            try:
                yield number, parse(text_line)
            except BadAcl as error:
                raise BadAcl(f"line {number}: {error}") from None


def _selector(right: Right) -> str:
    names = [*(f"~{name}" for name in right.keys), *(f"&{name}" for name in right.channels)]
    commands = [f"+{command}" for command in right.commands.split()]
    return f"(resetchannels -@all {' '.join([*names, *commands])})"


def _differences(found: User, wanted: User) -> Iterator[str]:
    """Say what a line has and lacks; never a hash, and never a password."""
    for verb, more, less in (("has", found, wanted), ("lacks", wanted, found)):
        for rule in sorted(more.rules - less.rules):
            yield f"{verb} {_shown(rule)}"
        for selector in sorted(map(sorted, more.selectors - less.selectors)):
            yield f"{verb} ({' '.join(selector)})"


def _shown(rule: str) -> str:
    return "another password" if rule[0] in "#><!" else rule


#: Of a server whose socket nobody else reaches: whoever says nothing is a producer.
PRODUCER_DEFAULT = line(DEFAULT, Role.PRODUCER, "on nopass")
#: Most servers read their append-only file as the default user, and leave out each transaction in
#: which he had a command that he may not use: a restart would lose them without a word. So he has
#: every right, but on a server that is known to be without that fault.
#: Source: https://github.com/redis/redis/issues/14541, https://github.com/valkey-io/valkey/issues/3983
OPEN_DEFAULT = f"user {DEFAULT} on nopass ~* &* +@all"
#: Of an operator's server: whoever does not log in is nobody, and its file is read all the same.
NO_DEFAULT = f"user {DEFAULT} off ~* &* +@all"


def default_of(text: str) -> str | None:
    """
    Find which default user of the embedded server's an ACL file has; None: neither.

    Raises:
        BadAcl: A line is none of a user.
    """
    users = [user for _, user in _numbered(text)]
    return next((one for one in (PRODUCER_DEFAULT, OPEN_DEFAULT) if parse(one) in users), None)
