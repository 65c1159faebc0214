"""
Command line: one command per part, and the tools around them. The roof: nobody imports it.

Each command imports its part when it is called: the gateway need not load Celery to start.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from ops.log import printable
from ops.settings import BadSettings, Settings, variable

#: Help of an option whose default is a setting per queue.
AUTOSCALE = "Most and fewest tasks at once. [INVIGIL_EXAM_AUTOSCALE and so on; see `config`]"
CHAOS_RATE = "Commands per second."
CHAOS_EVERY = "Seconds between two faults, on average; 0: none."
CHAOS_FOLDER = "Keep ledger, logs and data here. [default: a temporary one, kept if it fails]"
EXIT_ABORTED, EXIT_BAD_SETTINGS = 1, 2


def _settings(**overrides: Any) -> Settings:
    return Settings.read(**{name: value for name, value in overrides.items() if value is not None})


def _exit(code: int) -> None:
    raise click.exceptions.Exit(code)


def _described(name: str) -> str:
    """Help of an option that stands for a setting: its text, variable and default."""
    field = Settings.model_fields[name]
    return f"{field.description}. [{variable(name)}, default {field.default}]"


class Commands(click.Group):
    """
    Our commands, with one line for what is not allowed, whoever finds it.

    What is said may hold what was typed, or what a script was given by somebody else: no terminal
    obeys it.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command, and end the process."""
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except BadSettings as error:
            click.echo(f"invigil: {printable(str(error))}", err=True)
            code = EXIT_BAD_SETTINGS
        except click.ClickException as error:
            error.message = printable(error.message)  # type: ignore[misc]
            error.show()
            code = error.exit_code
        except click.Abort:
            click.echo("Aborted!", err=True)
            code = EXIT_ABORTED
        sys.exit(code or 0)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="invigil", prog_name="invigil")
def main() -> None:
    """
    Timed exams that end the right way, whatever breaks.

    Start with `invigil up`: it runs everything in this terminal. The other commands run one part
    each, or act on a system that runs. Settings come from the environment: `invigil config`.
    """


@main.command()
@click.option("--port", type=int, help=_described("port"))
@click.option("--data", type=click.Path(path_type=Path), help=_described("data"))
def up(port: int | None, data: Path | None) -> None:
    """
    Run everything: Redis, workers, dispatcher, beat, gateway.

    Redis is an embedded server under the data folder, unless REDIS_URL is set. Mails go to a
    Maildir there, unless INVIGIL_SMTP_URL is set. Ctrl-C ends all parts in order; a second one
    ends them at once, and loses nothing either.
    """
    settings = _settings(port=port, data=data)
    from ops.nursery import Nursery

    nursery = Nursery.early()  # it imports while this process does
    from ops import up as stack

    _exit(stack.run(settings, nursery))


@main.command()
@click.option("--host", help=_described("host"))
@click.option("--port", type=int, help=_described("port"))
def gateway(host: str | None, port: int | None) -> None:
    """Run the HTTP gateway."""
    from ingest import gateway as part

    _exit(part.run(_settings(host=host, port=port)))


@main.command()
def dispatcher() -> None:
    """Run a dispatcher; of several, one works."""
    settings = _settings()
    from dispatcher import loop as part

    _exit(part.run(settings))


@main.command()
@click.option("--queue", type=click.Choice(["exam", "mail", "slow"]), required=True)
@click.option("--autoscale", metavar="MAX,MIN", help=AUTOSCALE)
def worker(queue: str, autoscale: str | None) -> None:
    """Run the Celery worker of one queue."""
    from ops.celery_argv import worker_argv

    settings = _settings(**{f"{queue}_autoscale": autoscale})
    _become(worker_argv(queue, getattr(settings, f"{queue}_autoscale")), part=f"worker-{queue}")


@main.command()
def beat() -> None:
    """Run Celery beat, which asks for the digest mails."""
    from ops.celery_argv import beat_argv

    _settings()
    _become(beat_argv(), part="beat")


@main.command(hidden=True)
@click.option("--port", type=int, required=True)
def sink(port: int) -> None:
    """Run the development mail sink."""
    from ops import sink as part

    part.run(_settings(), port)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
def config(*, as_json: bool) -> None:
    """Show every setting by its variable's name, without secrets."""
    shown = _settings().shown()
    if as_json:
        click.echo(json.dumps(shown, indent=1))
        return
    for name, field in Settings.model_fields.items():
        value = printable(shown[variable(name)])
        click.echo(f"{variable(name)}={value}\n    {field.description}\n")


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def send(arguments: tuple[str, ...]) -> None:
    """Put a command onto the stream, or send a file of them."""
    from ops.send_cli import command

    _go_on(command, arguments)


@main.command()
@click.option("--minutes", type=click.FloatRange(0.05, 24 * 60), default=1, show_default=True)
@click.option("--rate", type=click.FloatRange(1), default=60, show_default=True, help=CHAOS_RATE)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides who does what.")
@click.option("--every", type=click.FloatRange(0), default=4, show_default=True, help=CHAOS_EVERY)
@click.option("--folder", type=click.Path(path_type=Path), help=CHAOS_FOLDER)
@click.option("--json", "as_json", is_flag=True, help="The scorecard as one JSON object.")
def chaos(
    minutes: float, rate: float, seed: int, every: float, folder: Path | None, *, as_json: bool
) -> None:
    """
    Break a private system while it works, and prove that nothing was lost.

    Starts a system of its own beside any other (port, Redis and data are its own), sends exams and
    echoes over HTTP and XADD, most results within 300 ms of their deadlines, and meanwhile kills
    and freezes parts of it: pool processes, workers, dispatchers, gateway, Redis, all at once.
    Then it compares what was acknowledged with the files, the logs and the dead letters, by rules
    of its own. Exit code 0: every promise was kept; 1: one was broken, or it did not start.

    \b
    invigil chaos
    invigil chaos --minutes 15 --rate 150 --every 3
    invigil chaos --every 0      (break nothing: how late is `absent` without faults?)
    """
    from ops.chaos import command

    _exit(
        command.run_chaos(minutes, rate, seed=seed, every_s=every, folder=folder, as_json=as_json)
    )


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dead(arguments: tuple[str, ...]) -> None:
    """Look at commands set aside for people, put them back, give them up."""
    from ops.dead_cli import group

    _go_on(group, arguments)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def keys(arguments: tuple[str, ...]) -> None:
    """Make, list and revoke the API keys of the gateway."""
    from ops.keys_cli import group

    _go_on(group, arguments)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def acl(arguments: tuple[str, ...]) -> None:
    """Make the users of Redis, one per role, and check that a server has them."""
    from ops.acl_cli import group

    _go_on(group, arguments)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def audit(arguments: tuple[str, ...]) -> None:
    """Prove from the logs alone what became of each command."""
    from ops.audit.command import group

    _go_on(group, arguments)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure what the product costs, beside a limit measured in the same run."""
    from ops.bench.command import group

    _go_on(group, arguments)


def _go_on(command: click.Command, arguments: tuple[str, ...]) -> None:
    """Run a command of a module of its own; what is wrong with it is said as here."""
    name = f"invigil {click.get_current_context().info_name}"
    _exit(command.main(list(arguments), prog_name=name, standalone_mode=False) or 0)


def _become(argv: list[str], *, part: str) -> None:
    """Turn this process into another program; signals and exit code are its own from here on."""
    os.environ.setdefault("INVIGIL_PART", part)
    sys.stdout.flush()
    os.execv(argv[0], argv)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
