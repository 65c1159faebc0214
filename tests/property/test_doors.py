"""Doors that need no server: settings, the command line, the log, mails and reports."""

import email
import email.policy
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from email.utils import getaddresses
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support.doors import raw
from support.hostile import TEXTS, examples, is_harmless, texts, tree, words
from support.invigil import invigil

from filestore.fact import Status
from ops import cli, dead, dead_cli, hygiene, log, output, preflight
from ops.acl_cli import group as acl_group
from ops.audit import command as audit_command
from ops.events import Event
from ops.glossary import KEYS
from ops.keys_cli import group as keys_group
from ops.send_cli import command as send_command
from ops.settings import BadSettings, Settings, variable
from tasks.digest import make_digest, write_mail

anything = texts | st.text(max_size=60)
#: What these take are settings, or numbers; they run for long, and are not run here.
NOT_RUN = {"up", "gateway", "dispatcher", "worker", "beat", "sink", "chaos", "bench", "config"}
#: Commands that are modules of their own.
MODULES: Mapping[str, click.Command] = {
    "dead": dead_cli.group,
    "keys": keys_group,
    "acl": acl_group,
    "audit": audit_command.group,
    "send": send_command,
}


#: How lines begin that a text would have made.
FORGED = ("Set-Cookie", "Bcc", "HTTP/1.1", '{"event"', "$8", "FLUSHALL")
#: Keys of a log line that an audit reads as numbers.
NUMBERS = dict.fromkeys(("pid", "seq", "at_ms", "deadline_ms", "slot_s"), 1)


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below this one, by its words."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, *path, name)
    else:
        yield path, command


COMMANDS = {path: one for name, module in MODULES.items() for path, one in commands(module, name)}
#: All but the names of the page and of the folder that are asked for: there they are written.
PLACES = [
    (path, one)
    for path, command in COMMANDS.items()
    for one in [*command.params, None]
    if one is None or one.name not in {"html", "folder"}
]


def typed(path: tuple[str, ...], param: click.Parameter | None, text: str) -> list[str]:
    """Write a command with a value in one place; None: an option that there is not."""
    written = [*path]
    for one in COMMANDS[path].params:
        if one.required and one is not param and isinstance(one, click.Option):
            good = one.type.choices[0] if isinstance(one.type, click.Choice) else "1"
            written += [one.opts[0], str(good)]
    if param is None:
        return [*written, f"--{text}"]
    if isinstance(param, click.Argument):
        return [*written, "--", text]
    return [*written, param.opts[0], *([] if getattr(param, "is_flag", False) else [text])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to work in, where no file comes to lie but our own."""
    path = tmp_path_factory.mktemp("doors")
    before = Path.cwd()
    os.chdir(path)
    yield path
    os.chdir(before)
    beside = {one for one in tree(path) if not one.is_relative_to(path / "var")}
    assert beside <= {path / "report.html"}, beside


def run(arguments: list[str], **env: str) -> str:
    """Run a command as a user does; it ends in order, and what it says is harmless."""
    logs = mock.patch.object(log, "_route")  # else this process' loggers, for all later tests
    # Nor by structlog's own printer, which no user has: `test_log` asks what ours makes of a line.
    with mock.patch.dict(os.environ, {"INVIGIL_DATA": "var", **env}), logs, capture_logs():
        done = CliRunner().invoke(cli.main, arguments)
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert is_harmless(done.output), done.output
    return done.output


def test_no_command_is_left_out() -> None:
    """Every command is tried, or takes nothing but settings and numbers."""
    assert set(cli.main.commands) == NOT_RUN | set(MODULES)


@examples(150)
@given(place=st.sampled_from(PLACES), text=words)
def test_command_line(
    folder: Path, place: tuple[tuple[str, ...], click.Parameter | None], text: str
) -> None:
    """Whatever is typed, the command ends in order, and no terminal obeys what it says."""
    run(typed(*place, text))


@pytest.mark.parametrize("text", ["\x1b[31m", "a\nInvigil is ready"])
def test_unknown_command(folder: Path, text: str) -> None:
    """A command that there is not is named in one line, harmless."""
    assert "No such command" in run([text])


@examples(150)
@given(field=st.sampled_from(sorted(Settings.model_fields)), text=words)
def test_settings(folder: Path, field: str, text: str) -> None:
    """
    Whatever a setting is, it is refused in one line, or shown in one; and what then listens says
    in one line why it cannot.
    """
    shown = run(["config"], **{variable(field): text})
    assert shown.count("INVIGIL_KEY=") <= 1
    if field not in ("host", "data"):
        return
    with mock.patch.dict(os.environ, {variable(field): text}):
        try:
            read = Settings.read(port=0)
            if field == "host":
                preflight.free_port(read.host)
        except (BadSettings, preflight.Refusal):
            pass


@given(text=anything, key=st.sampled_from(sorted(KEYS)), event=st.sampled_from(Event))
def test_log(text: str, key: str, event: Event) -> None:
    """Whatever stands under a key of the log, it makes no second line, and no event of its own."""
    said = {"event": event, "ts": "", "part": "", "level": "info", key: text}

    line = hygiene.render({**said, "chain": "c", "seq": 1, "prev": "p"}).decode()
    assert line.isascii()
    assert line.isprintable()
    assert "c" == json.loads(line)["chain"]
    with mock.patch.dict(os.environ, {"NO_COLOR": "1"}):
        printed = log._for_people("gateway")(said)
    assert printed.isprintable() or key == "exception"
    assert all(one.startswith("    ") for one in printed.split("\n")[1:])


@given(anything)
def test_lines_of_a_part(text: str) -> None:
    """What a part prints of its own is one line, with its name before it, and colours alone act."""
    [line] = [output._harmless(raw(text).replace(b"\n", b" "))]

    assert is_harmless(output._COLOUR.sub("", line.decode()))


class Tags(HTMLParser):
    """Counts elements, and attributes by name."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count one."""
        self.seen.update([tag, *(f"{tag} {name}" for name, _ in attrs)])


@given(anything)
def test_mail(text: str) -> None:
    """Whatever an exam is called, the mail has one receiver, its own headers and its own HTML."""

    def mail(pk: str) -> email.message.EmailMessage:
        named = [(status.value, pk) for status in Status]
        digest = make_digest(slot_s=0, since_s=None, before={}, now={"pass": 1}, named=named)
        return write_mail(digest, sender="a@b.test", receiver="c@d.test")

    made = email.message_from_bytes(mail(text).as_bytes(), policy=email.policy.default)
    good = mail("math-7")
    assert good.keys() == made.keys()
    assert [("", "c@d.test")] == getaddresses([str(made["To"])])
    bodies = [
        {
            part.get_content_type(): part.get_content()
            for part in one.walk()
            if not part.is_multipart()
        }
        for one in (made, good)
    ]
    assert Tags(bodies[1]["text/html"]).seen == Tags(bodies[0]["text/html"]).seen
    assert is_harmless(bodies[0]["text/plain"].replace("\r", ""))
    assert bodies[0]["text/plain"].count("\n") >= bodies[1]["text/plain"].count("\n")


@given(anything)
def test_dead_letter(text: str) -> None:
    """Whatever stands in a dead letter, it is one line of a list."""
    ours = {b"entry": b"1-0", b"at": b"1", b"reason": raw(text)}
    own = {b"field:" + raw(name): raw(text) for name in ("type", "data", "id", text)}
    letter = dead.parse("1-0", ours | own | {b"field:data": json.dumps({"pk": text}).encode()})

    assert letter
    assert dead_cli._line(letter).isprintable()
    assert json.dumps(letter.shown()).isprintable()


@pytest.mark.parametrize("text", TEXTS)
def test_reports(folder: Path, text: str) -> None:
    """Whatever a log holds, wherever, the reports of it are texts, and pages of our own making."""

    def lines(value: str) -> list[str]:
        """Every event with this under every key that holds a text; first one whose time is none."""
        texts_of_it = dict.fromkeys(KEYS, value) | NUMBERS | {"redelivered": False}
        dated = {**texts_of_it, "ts": "2026-11-27T08:00:00.000Z"}
        events = [event.value for event in Event]
        own = [json.dumps({**dated, "event": event}) for event in events]
        return [json.dumps({**texts_of_it, "event": "applied"}), *own, json.dumps(dated)]

    pages = {}
    for name, value in (("hostile", text), ("good", "good")):
        path = folder / "var" / name / "x.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines(value)))
        page = folder / "report.html"
        printed = invigil("check", path.parent, "--html", page).stdout
        assert is_harmless(printed)
        assert not [line for line in printed.splitlines() if line.startswith(FORGED)]
        pages[name] = Tags(page.read_text()).seen
        assert is_harmless(invigil("anchor", path).stdout)
        asked = invigil("explain", "--", value, path.parent)
        assert is_harmless(asked.stdout + asked.stderr)
    assert pages["hostile"].keys() <= pages["good"].keys()
