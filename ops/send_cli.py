"""Command line of `invigil send`: one command, many numbered ones, or a file of them."""

from io import BufferedReader
from typing import Any, cast
from urllib.parse import urlsplit

import click
import redis.exceptions

from ops import gateway_client, send, send_file
from ops.settings import Settings

EXIT_FAILED = 1
EXIT_BAD = 2
LINES = 'File of commands, one {"type", "data", "id"?, "source"?} per line; - for standard input.'
FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)


def _url(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Check the option; a port out of range shows itself only when it is asked for."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise click.BadParameter(f"{value!r} is no http:// or https:// URL")
    return value.rstrip("/")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument(
    "type_name",
    metavar="[TYPE]",
    required=False,
    type=click.Choice(["exam.start", "exam.finish", "echo"]),
)
@click.option("--pk", help="Exam; with --count the first part of the names.")
@click.option("--duration", type=int, help="Seconds, of exam.start: 1 to 604800.")
@click.option("--status", type=click.Choice(["pass", "fail"]), help="Result, of exam.finish.")
@click.option("--text", help="What echo prints.")
@click.option("--delay", type=float, help="Seconds that echo sleeps: 0 to 3600.")
@click.option("--id", "command_id", help="Id of the command, for deduplication.")
@click.option("--source", help="Who sends; ids are compared within one source.")
@click.option("--count", type=click.IntRange(1), help="Send so many, to PK-1, PK-2, ...")
@click.option("--file", type=FILE, help=LINES)
@click.option("--url", callback=_url, help="Gateway that takes the file. [default: the settings']")
@click.option("--from-line", type=click.IntRange(1), help="First line of the file that is sent.")
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    source: str | None,
    file: str | None,
    url: str | None,
    from_line: int | None,
    **single: Any,
) -> None:
    """
    Put commands onto the stream, as XADD does; or send a file of them to the gateway.

    A file's commands get ids that a second run gives them too, where they have none: after a cut
    it can be sent again, and what comes twice does nothing. To have it done twice, name another
    --source. Lines that are no commands are named on standard error, and the exit code is 1.

    \b
    invigil send exam.start --pk math-7 --duration 120
    invigil send exam.finish --pk math-7 --status pass
    invigil send exam.start --pk load --duration 5 --count 10000
    invigil send echo --text hello --delay 3
    invigil send --file commands.ndjson
    """
    given = {name: value for name, value in single.items() if value is not None}
    if file is None:
        if url or from_line or "type_name" not in given:
            raise click.UsageError("Name a TYPE, or a --file; --url and --from-line are of a file.")
        context.exit(_send(source=source, **given))
    if given:
        raise click.UsageError("A --file has the commands; it takes none from here.")
    context.exit(_send_file(file, url=url, source=source, first_line=from_line or 1))


def _send_file(name: str, *, url: str | None, **how: Any) -> int:
    settings = Settings.read()
    try:
        where = url or gateway_client.url_of(settings)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with click.open_file(name, "rb") as file:
        bytes_of_it = cast(BufferedReader, file)
        job = send_file.Job(url=where, file=bytes_of_it, name=name, key=settings.key, **how)
        return send_file.run(job)


def _send(
    type_name: str,
    *,
    source: str | None,
    command_id: str | None = None,
    count: int | None = None,
    **data: Any,
) -> int:
    settings = Settings.read()
    try:
        batch = send.commands(type_name, data, command_id=command_id, source=source, count=count)
        send.run(settings, batch, total=count or 1, is_single=count is None)
    except send.InvalidCommand as error:
        click.echo(f"invigil send: {error}", err=True)
        return EXIT_BAD
    except redis.exceptions.RedisError as error:
        shown = settings.shown()["REDIS_URL"] or settings.redis
        click.echo(f"invigil send: Redis at {shown} does not take it: {error}", err=True)
        click.echo("Is `invigil up` running, or REDIS_URL set to the right server?", err=True)
        return EXIT_FAILED
    return 0
