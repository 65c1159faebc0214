"""API keys on the command line: make them, list them, take them back."""

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
import structlog
from rich.console import Console
from rich.table import Table
from rich.text import Text

from filestore.document import iso
from ingest import access, keyring
from ingest.access import ApiKey, Scope
from ops.events import Event
from ops.log import configure
from ops.login import login
from ops.settings import BadSettings, Settings

FAILED = 1
MS = timedelta(milliseconds=1)
#: Characters of a key's name.
MOST_NAME = 100
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)

log = structlog.get_logger()

_as_json = click.option("--json", "as_json", is_flag=True, help="As JSON.")
_by = click.option("--by", metavar="WHO", help="Who does it. [default: your login name]")


class Span(click.ParamType[int]):
    """Milliseconds, written as ``90m``, ``12h`` or ``30d``."""

    name = "SPAN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        match = _SPAN.fullmatch(value)
        if match is None:
            self.fail(f"{value!r} is none; say 90m, 12h or 30d", param, ctx)
        return timedelta(**{UNITS[match[2]]: int(match[1])}) // MS


@click.group(name="keys")
def group() -> None:
    """
    API keys: who may call the gateway, and what for.

    A gateway that only this machine can reach needs none until the first one has been made; from
    then on every call but /livez and /readyz needs one. One that others can reach does not start
    without. The keys lie in the data folder, without their secrets; gateways see a change within a
    second.

    \b
    invigil keys create --name "exam room" --scope write
    curl -H "Authorization: Bearer inv_..." http://127.0.0.1:8080/exams
    invigil keys revoke 6f9c2b1e
    """


@group.command()
@click.option("--name", required=True, help="What it is for; stands in the list and in the log.")
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    required=True,
    help="read: ask; write: also send commands; admin: write, without a rate.",
)
@click.option("--expires", "expires_in_ms", type=Span(), help="In 90m, 12h, 30d. [default: never]")
@_by
@_as_json
def create(
    name: str, scope: str, expires_in_ms: int | None, by: str | None, *, as_json: bool
) -> None:
    """Make a key. Its secret is shown this once, and is kept nowhere."""
    if not 1 <= len(name) <= MOST_NAME or not name.isprintable():
        raise click.BadParameter(f"1 to {MOST_NAME} printable characters", param_hint="--name")
    now_ms = _now_ms()
    expires_ms = None if expires_in_ms is None else now_ms + expires_in_ms
    key, token = access.new_key(name, Scope(scope), now_ms=now_ms, expires_ms=expires_ms)
    with _changed() as keys:
        for ended in access.to_forget(keys, now_ms=now_ms):
            del keys[ended]
        keys[key.id] = key
    about = {"name": key.name, "scope": key.scope, "expires_ms": key.expires_ms}
    log.info(Event.KEY_CREATED, key=key.id, **about, by=by or login())
    if as_json:
        click.echo(json.dumps({**_shown(key, now_ms), "key": token}))
        return
    click.echo(token)
    click.echo("This is the only time that the key is shown. Send it as a header:", err=True)
    click.echo("  Authorization: Bearer KEY", err=True)


@group.command(name="list")
@_as_json
def list_keys(*, as_json: bool) -> None:
    """Show all keys, also those that are none any more; never a secret."""
    now_ms = _now_ms()
    keys = [_shown(key, now_ms) for key in _read().values()]
    if as_json:
        click.echo(json.dumps({"keys": keys}, indent=1))
        return
    table = Table("id", "name", "scope", "state", "made", "expires", box=None)
    for key in keys:
        texts = (key["id"], key["name"], key["scope"], key["state"], key["created"], key["expires"])
        table.add_row(*(Text(str(text or "-")) for text in texts))  # nothing in it is markup
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@group.command()
@click.argument("key_id", metavar="ID")
@_by
@_as_json
def revoke(key_id: str, by: str | None, *, as_json: bool) -> None:
    """Take a key back, by its id: within a second no gateway lets it in any more."""
    found = re.fullmatch(r"(?:inv_)?([0-9a-f]{8})(?:_\S+)?", key_id, re.ASCII)
    now_ms = _now_ms()
    with _changed() as keys:
        if found is None or found[1] not in keys:
            click.echo("invigil keys: there is no such key; see: invigil keys list", err=True)
            raise click.exceptions.Exit(FAILED)
        keys.update(access.revoke(keys, found[1], now_ms=now_ms))
        key = keys[found[1]]
    log.info(Event.KEY_REVOKED, key=key.id, name=key.name, by=by or login())
    revoked = f"{key.id} ({key.name}) is revoked"
    click.echo(json.dumps(_shown(key, now_ms)) if as_json else revoked)


@contextmanager
def _changed() -> Iterator[dict[str, ApiKey]]:
    settings = Settings.read()
    configure(settings, part="keys", is_quiet=True)
    path = keyring.file_of(settings.data)
    try:
        with keyring.changing(path) as keys:
            yield keys
    except (keyring.KeysAway, access.TooManyKeys) as error:
        raise BadSettings(str(error)) from None
    except OSError as error:
        raise BadSettings(f"{path} cannot be written: {error.strerror}") from None


def _read() -> access.Keys:
    try:
        return keyring.read(keyring.file_of(Settings.read().data))
    except keyring.KeysAway as error:
        raise BadSettings(str(error)) from None


def _shown(key: ApiKey, now_ms: int) -> dict[str, str | None]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "state": key.state(now_ms),
        "created": iso(key.created_ms),
        "expires": None if key.expires_ms is None else iso(key.expires_ms),
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
