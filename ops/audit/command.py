"""Audit on the command line."""

import json
import sys
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any

import click

from ops.audit import anchors, explaining, paged, report
from ops.audit import html as page
from ops.audit.against import Files
from ops.audit.audit import Audit
from ops.audit.findings import Findings
from ops.audit.ledger import OnExam
from ops.audit.line import moment_ms
from ops.audit.opening import opened
from ops.audit.paths import Unreadable, find
from ops.chain import Head
from ops.log import printable
from ops.settings import BadSettings, Settings

PROVEN, VIOLATED, UNREADABLE = 0, 1, 2
BAD_INPUT = (Unreadable, BadSettings, OSError)


class _Group(click.Group):
    """A group whose first argument may be a path: then `check` is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h")):
            args = ["check", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Group, name="audit", invoke_without_command=False)
def group() -> None:
    """
    Prove from the logs alone what became of each command.

    \b
    invigil audit                          the logs of INVIGIL_DATA
    invigil audit var/logs old/*.gz        files, folders, patterns; - is standard input
    invigil audit --against var var/logs   and compare with the exams' files
    invigil audit explain math-7           the story of an exam, a command or a task
    invigil audit anchor                   the heads of all chains, to keep elsewhere

    Without a command name, `check` is meant: see invigil audit check --help.
    """


@group.command()
@click.argument("paths", nargs=-1)
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="DATA", help="Compare with its exams."
)
@click.option(
    "--anchors",
    "anchored",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Mails, or what `anchor` printed, with heads that must be found.",
)
@click.option("--running", is_flag=True, help="The logs are of a system that still runs.")
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    help="Seconds for which something may be under way when the log ends.",
)
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page, too.")
def check(paths: tuple[str, ...], **options: Any) -> None:
    """
    Put every line of the logs through the rules.

    Exit code 0: all is proven. 1: a rule is broken. 2: an input cannot be read.
    """
    try:
        code = _check(paths or _default(options["against"]), **options)
    except BAD_INPUT as error:
        click.echo(f"invigil audit: {printable(str(error))}", err=True)
        code = UNREADABLE
    sys.exit(code)


@group.command()
@click.argument("paths", nargs=-1)
def anchor(paths: tuple[str, ...]) -> None:
    """
    Print the head of every process' lines, to keep where nobody can edit it.

    `invigil audit --anchors FILE` finds out later whether one of these lines was changed, or cut.
    """
    try:
        found = find(paths or _default())
        heads = _heads(found)
    except BAD_INPUT as error:
        click.echo(f"invigil audit: {printable(str(error))}", err=True)
        sys.exit(UNREADABLE)
    for head in heads:
        click.echo(printable(str(head)))


@group.command()
@click.argument("asked", metavar="PK|COMMAND_ID|TASK_ID")
@click.argument("paths", nargs=-1)
def explain(asked: str, paths: tuple[str, ...]) -> None:
    """
    Tell what became of an exam, a command or a task, in sentences.

    By an exam's name, a command's id or entry, a task's id, or a trace's. Exit code 1: the logs do
    not know it.
    """
    try:
        lines = explaining.explain(asked, paths or _default())
    except BAD_INPUT as error:
        click.echo(f"invigil audit: {printable(str(error))}", err=True)
        sys.exit(UNREADABLE)
    click.echo("\n".join(lines.told), err=not lines.is_known)
    sys.exit(PROVEN if lines.is_known else VIOLATED)


def _default(data: Path | None = None) -> tuple[str]:
    """Name the folder that is meant when none is named."""
    return (str(data or Settings.read().data),)


def _check(
    names: Sequence[str],
    *,
    against: Path | None,
    anchored: Sequence[Path],
    running: bool,
    grace: float,
    as_json: bool,
    html: Path | None,
) -> int:
    paths = find(names)
    files: list[Files] = []
    audit = Audit(on_exam=_compare(against, files) if against else None)
    for head, is_end in anchors.registers(paths):
        audit.integrity.expect(head, where="the register of heads", is_end=is_end)
    for path in anchored:
        for head in anchors.read(path):
            audit.integrity.expect(head, where=str(path), is_end=False)
    sizes = _read(paths, audit)
    if not audit.lines - audit.foreign:
        raise Unreadable(f"{', '.join(names)}: no line of a log of ours")
    audit.end(may_run=running, grace_ms=round(grace * 1000))
    for one in files:
        end_ms, grace_ms = moment_ms(audit.last_ts) or 0, grace * 1000
        one.end(since_ms=round(end_ms - grace_ms), until_ms=inf if running else end_ms + grace_ms)
    made = report.make(audit, sizes, compared=files[0].compared if files else None)
    if html:
        html.write_text(page.render(paged.make(audit, sizes)), encoding="utf-8")
    click.echo(json.dumps(made, indent=1) if as_json else report.for_people(made))
    return PROVEN if audit.findings.is_proven else VIOLATED


def _compare(data: Path, files: list[Files]) -> Callable[[Findings], OnExam]:
    root = data / "exams"
    if not root.is_dir():
        raise Unreadable(f"{data}: not a data folder, it has no exams/")

    def compare(findings: Findings) -> OnExam:
        files.append(Files(root, findings))
        return files[-1].compare

    return compare


def _read(paths: Sequence[Path], audit: Audit) -> dict[str, int]:
    with opened(paths) as (inputs, advance):
        for block in inputs.blocks(advance):
            audit.take(block)
        return inputs.sizes


def _heads(paths: Sequence[Path]) -> list[Head]:
    """Read the register; without one, as where logs came from standard output, all lines."""
    registered = [head for head, _ in anchors.registers(paths)]
    if registered:
        return registered
    audit = Audit()
    _read(paths, audit)
    return audit.integrity.heads()
