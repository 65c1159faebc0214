"""Redis' users on the command line: make them, and check that a server has them."""

import json
import sys
from pathlib import Path

import click
import redis.exceptions
from rich.console import Console
from rich.table import Table

from ops import acl, acl_files, logins, probe
from ops.logins import Logins, NoLogins
from ops.roles import Role
from ops.settings import BadSettings, Settings

FAILED = 1
ACL_FILE, LOGINS_FILE = "users.acl", "redis-users.json"

_folder = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
_as_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")


@click.group(name="acl")
def group() -> None:
    """
    Redis' users: one per role, with the commands and keys that it needs and no others.

    The embedded server has them by itself. A server of your own reads them from a file, and the
    parts find their passwords in another one.

    \b
    invigil acl create /etc/invigil
    redis-server --aclfile /etc/invigil/users.acl ...
    INVIGIL_REDIS_USERS=/etc/invigil/redis-users.json REDIS_URL=rediss://redis.school invigil up
    """


@group.command()
@_folder
@_as_json
def create(folder: Path, *, as_json: bool) -> None:
    """
    Make users with new passwords, and write FOLDER's users.acl and redis-users.json.

    users.acl is for the server and holds hashes alone; users of other names that stand in it stay.
    redis-users.json is for the parts. Hand out the producer's and the auditor's password from what
    is shown here.
    """
    settings = Settings.read()
    made = acl_files.new_logins()
    rules, passwords = folder / ACL_FILE, folder / LOGINS_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        acl_files.renew(rules, passwords, made, default=acl.NO_DEFAULT)
    except acl.BadAcl as error:
        raise BadSettings(f"{rules} is no ACL file: {error}") from None
    except OSError as error:
        raise BadSettings(f"{folder} cannot be written: {error.strerror}") from None
    if as_json:
        users = [{"role": r, "user": r.user, "password": made.passwords[r]} for r in Role]
        click.echo(json.dumps({"acl": str(rules), "logins": str(passwords), "users": users}))
        return
    _show(made)
    shown = settings.shown()["REDIS_URL"] or "redis://HOST:6379"
    click.echo(
        f"\nThe server: aclfile {rules.absolute()} in its configuration, or ACL LOAD when it has"
        f"\nthat line already. Who does not log in may do nothing there from then on."
        f"\nThe parts: INVIGIL_REDIS_USERS={passwords.absolute()}"
        f"\nOthers log in with the user and password above, at {shown}."
        f"\nThen: INVIGIL_REDIS_USERS={passwords.absolute()} invigil acl check {folder}",
        err=True,
    )


@group.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@_as_json
def check(folder: Path | None, *, as_json: bool) -> None:
    """
    See that each role may do what it needs, and no more.

    Asks the server, as each role, without doing anything there; and with FOLDER compares its
    users.acl with the rules of this release, so that what was edited by hand is found.
    """
    settings = Settings.read()
    try:
        wrong = _in_file(folder) if folder else []
        wrong += [line for role in Role for line in _on_server(settings, role)]
    except NoLogins as error:
        raise BadSettings(str(error)) from None
    except redis.exceptions.RedisError as error:
        shown = settings.shown()["REDIS_URL"] or settings.redis
        click.echo(f"invigil acl: Redis at {shown} does not answer: {error}", err=True)
        raise click.exceptions.Exit(FAILED) from None
    if as_json:
        click.echo(json.dumps({"is_right": not wrong, "wrong": wrong}))
    else:
        click.echo("\n".join(wrong) or "each role may do what it needs, and no more")
    if wrong:
        raise click.exceptions.Exit(FAILED)


def _in_file(folder: Path) -> list[str]:
    """Compare the server's file with what it should be."""
    path = folder / ACL_FILE
    known = logins.read(folder / LOGINS_FILE)
    try:
        acl.check(path.read_text(), acl.render(known.passwords, default=acl.NO_DEFAULT))
    except OSError as error:
        raise BadSettings(f"{path} cannot be read: {error.strerror}") from None
    except acl.BadAcl as error:
        if known.rules != acl.fingerprint():
            return [f"{path} is of another release: make it anew with invigil acl create"]
        return [f"{path} was edited by hand: {error}"]
    return []


def _on_server(settings: Settings, role: Role) -> list[str]:
    """Ask the server what it refuses a role that needs it, and what it allows it too much."""
    if settings.redis_logins is None:
        raise BadSettings("INVIGIL_REDIS_USERS: name the file with the logins to check")
    others = [call for call in probe.everything() if not probe.may(role, call)]
    refused = probe.refused(settings, role, probe.needs(role))
    as_it_should = set(probe.refused(settings, role, others))
    return [
        *(f"{role.user} may not, but has to: {call}" for call in refused),
        *(f"{role.user} may, but should not: {c}" for c in others if c not in as_it_should),
    ]


def _show(made: Logins) -> None:
    table = Table("role", "user", "password", box=None)
    for role in Role:
        table.add_row(role.value, role.user, made.passwords[role])
    Console(width=None if sys.stdout.isatty() else 200).print(table)
