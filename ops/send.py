"""Send: put commands straight onto the stream from the command line."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from ingest.commands import Command, encode, parse
from ingest.faults import Fault, InvalidCommand
from ops import keys, logins
from ops.roles import Role
from ops.settings import Settings

__all__ = ["InvalidCommand", "commands", "run"]

#: Commands per round trip.
CHUNK = 500


def commands(
    type_name: str,
    data: Mapping[str, Any],
    *,
    command_id: str | None,
    source: str | None,
    count: int | None,
) -> Iterator[Command]:
    """
    Make one command, or *count* of them with numbered pks.

    Raises:
        InvalidCommand: At once, before anything is sent.
    """
    if count and command_id:
        raise InvalidCommand(Fault("id", "cannot be one for --count commands"))
    if count and "pk" in data:
        _ = parse(type_name, {**data, "pk": f"{data['pk']}-{count}"})
    else:
        _ = parse(type_name, data)
    return _commands(type_name, dict(data), command_id=command_id, source=source, count=count)


def run(settings: Settings, batch: Iterable[Command], *, total: int, is_single: bool) -> None:
    """
    Send, with progress, and print the entry id of a single one or the number of many.

    Raises:
        redis.exceptions.RedisError: The server does not take them. How many it took is said.
    """
    progress = Progress(console=Console(stderr=True), disable=not sys.stderr.isatty() or is_single)
    entries: list[bytes] = []
    sent = 0
    with logins.connect(settings, Role.PRODUCER) as redis, progress:
        bar = progress.add_task("sending", total=total)
        try:
            for chunk in _chunks(batch):
                with redis.pipeline(transaction=False) as pipeline:
                    for command in chunk:
                        pipeline.xadd(keys.COMMANDS, encode(command))
                    entries = pipeline.execute()
                sent += len(entries)
                progress.advance(bar, len(entries))
        finally:
            if not is_single:
                click.echo(f"{sent} of {total} sent", err=sent < total)
    if is_single:
        click.echo(entries[-1].decode())


def _commands(
    type_name: str,
    data: dict[str, Any],
    *,
    command_id: str | None,
    source: str | None,
    count: int | None,
) -> Iterator[Command]:
    for number in range(1, (count or 1) + 1):
        numbered = {"pk": f"{data['pk']}-{number}"} if count and "pk" in data else {}
        yield Command(data=parse(type_name, {**data, **numbered}), id=command_id, source=source)


def _chunks(batch: Iterable[Command]) -> Iterator[list[Command]]:
    iterator = iter(batch)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
