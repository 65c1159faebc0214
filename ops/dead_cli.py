"""Dead letters on the command line: look at them, put them back, give them up."""

import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import click
import redis.exceptions
from redis import Redis
from rich.console import Console
from rich.progress import track

from filestore.document import iso
from ops import dead, logins
from ops.dead import Choice, Letter
from ops.log import configure, printable
from ops.login import login
from ops.roles import Role
from ops.settings import Settings

#: Characters of a reason on one line.
SHOWN = 100
FAILED, MISUSED = 1, 2

#: Does something with a letter; false when it is gone.
Act = Callable[[Letter], object]


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return add


_chosen = _options(
    click.option("--pk", help="Only those of this exam."),
    click.option("--type", "type_name", help="Only commands of this type."),
    click.option("--matching", metavar="TEXT", help="Only those whose reason has this text."),
)
_acting = _options(
    click.argument("ids", nargs=-1, metavar="[ID]..."),
    click.option("--all", "is_all", is_flag=True, help="All of them."),
    _chosen,
    click.option("--reason", metavar="WHY", help="Why you do it; it goes into the log."),
    click.option("--by", metavar="WHO", help="Who does it. [default: your login name]"),
    click.option("--dry-run", is_flag=True, help="Only say what would be done."),
)


@click.group(name="dead")
def group() -> None:
    """
    Commands set aside for people: look at them, put them back, give them up.

    A command is set aside, with its reason, when it is no command, waited too long for its exam's
    start, or failed five times. What you do is logged in DATA/logs/dead.jsonl.

    \b
    invigil dead list --pk math-7
    invigil dead show 1795499000000-0
    invigil dead replay 1795499000000-0 --reason "fixed in 0.2"
    invigil dead discard --matching "not JSON" --reason "a scanner's" --dry-run
    """


@group.command(name="list")
@_chosen
@click.option("--limit", type=click.IntRange(1), help="Only so many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per letter.")
def list_letters(
    pk: str | None, type_name: str | None, matching: str | None, limit: int | None, *, as_json: bool
) -> None:
    """List the dead letters, the newest last."""
    choice = Choice(pk=pk, type=type_name, matching=matching)

    def show(client: Redis) -> None:
        letters: Iterable[Letter] = dead.read(client, choice)
        for letter in list(letters)[-limit:] if limit else letters:
            click.echo(json.dumps(letter.shown()) if as_json else _line(letter))

    _with_redis(show)


@group.command()
@click.argument("letter_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def show(letter_id: str, *, as_json: bool) -> None:
    """Show all of one dead letter."""

    def act(client: Redis) -> None:
        [letter] = _found(client, Choice(ids=[letter_id]))
        if as_json:
            click.echo(json.dumps(letter.shown()))
            return
        shown = letter.shown()
        fields = {f"field {name}": value for name, value in shown.pop("fields").items()}
        for name, value in {**shown, "at": iso(letter.at_ms), **fields}.items():
            if value not in (None, ""):
                click.echo(f"{printable(name)}: {printable(str(value))}")

    _with_redis(act)


@group.command()
@_acting
def replay(**options: Any) -> None:
    """
    Put dead letters back onto the stream, in the order in which they came.

    Each keeps its command id, and is judged by the time at which it first came in: a result that
    was in time counts, and corrects an exam that was marked absent meanwhile.
    """
    _act("replayed", dead.replay, needs_command=True, **options)


@group.command()
@_acting
def discard(**options: Any) -> None:
    """Give dead letters up. The log keeps all that was in them."""
    _act("discarded", dead.discard, needs_command=False, **options)


def _act(
    done: str,
    act: Callable[..., object],
    *,
    needs_command: bool,
    ids: tuple[str, ...],
    is_all: bool,
    pk: str | None,
    type_name: str | None,
    matching: str | None,
    reason: str | None,
    by: str | None,
    dry_run: bool,
) -> None:
    if not (ids or is_all or pk or type_name or matching):
        raise click.UsageError("name letters by ID or by a filter, or say --all")
    if not dry_run and not (reason or "").strip():
        raise click.UsageError("--reason is missing: it goes into the log")
    choice = Choice(ids=ids, pk=pk, type=type_name, matching=matching)

    def run(client: Redis) -> None:
        letters = _found(client, choice)
        fit = [one for one in letters if not (needs_command and one.fault)]
        for letter in letters:
            if letter not in fit:
                click.echo(f"{letter.id} is left: {printable(letter.fault)}", err=True)
        if dry_run:
            for letter in fit:
                click.echo(_line(letter))
            click.echo(f"{len(fit)} would be {done}")
        else:
            _do(done, partial(act, client, by=by or login(), why=reason), fit)
        if len(fit) < len(letters):
            raise click.exceptions.Exit(FAILED)

    _with_redis(run)


def _do(done: str, act: Act, letters: list[Letter]) -> None:
    """Act on each, and say how many it were, also when Redis goes away in the middle."""
    configure(Settings.read(), part="dead", is_quiet=True)
    number = 0
    console = Console(stderr=True)
    try:
        for letter in track(letters, done, console=console, disable=not sys.stderr.isatty()):
            if act(letter):
                number += 1
            else:
                click.echo(f"{letter.id} is gone", err=True)
    finally:
        click.echo(f"{number} {done}")


def _found(client: Redis, choice: Choice) -> list[Letter]:
    """Read the letters in the order of their arrival; an id that is not there ends the command."""
    letters = sorted(dead.read(client, choice), key=lambda one: (one.at_ms, one.id))
    missing = set(choice.ids) - {letter.id for letter in letters}
    for letter_id in sorted(missing):
        click.echo(f"invigil dead: there is no such letter: {printable(letter_id)}", err=True)
    if missing:
        raise click.exceptions.Exit(FAILED)
    return letters


def _with_redis(act: Callable[[Redis], None]) -> None:
    settings = Settings.read()
    try:
        with logins.connect(settings, Role.OPERATOR) as client:
            act(client)
    except redis.exceptions.RedisError as error:
        shown = settings.shown()["REDIS_URL"] or settings.redis
        click.echo(f"invigil dead: Redis at {shown} does not answer: {error}", err=True)
        raise click.exceptions.Exit(FAILED) from None


def _line(letter: Letter) -> str:
    words = (letter.id, iso(letter.at_ms), letter.type or "-", letter.pk or "-")
    reason = printable(letter.ours["reason"])
    cut = reason if len(reason) <= SHOWN else f"{reason[:SHOWN]}..."
    return "  ".join([*(printable(word)[:SHOWN] for word in words), cut])
