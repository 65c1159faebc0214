"""Secrets: what is given to a setting is seen by nobody, whatever goes wrong with it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.memory import descendants
from support.server import program
from support.stack import Stack, environment, running
from support.users import add_admin, admin
from support.waiting import wait_until

from ops import cli, embedded
from ops.preflight import free_port
from ops.settings import SECRETS, Settings, variable

#: In every secret here, and nowhere else.
MARK = "geheim"
REDIS_PASSWORD = f"{MARK}-redis"
SMTP_PASSWORD = f"{MARK}-smtp"
API_KEY = f"inv_0123abcd_{MARK}"
#: Settings that only sound like one: the names of files that hold it, how often, and from where.
PLAIN = {"redis_users", "tls_cert", "tls_key", "key_rate", "address_rate", "cors_origins"}


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that lets nobody in without the password."""
    folder = tmp_path_factory.mktemp("redis")
    own = Settings(data=folder)
    add_admin(own)
    with embedded.running(own, server=program()):
        with admin(own.redis) as client:
            rights = ("on", f">{REDIS_PASSWORD}", "~*", "&*", "+@all")
            client.execute_command("ACL", "SETUSER", "all", *rights)
        yield f"unix://all:{REDIS_PASSWORD}@{own.redis_socket}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Stack]:
    """A system whose every secret has the mark, and whose mail server takes no mail."""
    folder = tmp_path_factory.mktemp("stack")
    variables = {
        "INVIGIL_SMTP_URL": f"smtp://me:{SMTP_PASSWORD}@127.0.0.1:{free_port('127.0.0.1')}",
        "INVIGIL_KEY": API_KEY,
        "INVIGIL_REDIS_USERS": "",
    }
    with running(folder, redis_url=redis_url, variables=variables, mail_every=1) as stack:
        yield stack


def seen_in(folder: Path) -> list[str]:
    """Files below a folder that have the mark."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_socket()]
    return [str(path) for path in paths if MARK.encode() in path.read_bytes()]


def test_every_secret_is_known() -> None:
    """A setting whose value may be secret, by its type or words, is one that is hidden."""
    words = ("password", "key", "secret", "token", "://")
    may_be = {
        name
        for name, field in Settings.model_fields.items()
        if "url" in name or any(word in f"{name} {field.description}".lower() for word in words)
    }

    assert may_be <= SECRETS | {"redis_url"} | PLAIN
    assert SECRETS <= set(Settings.model_fields)


@pytest.mark.parametrize("field", sorted(SECRETS))
@pytest.mark.parametrize(
    "form",
    [
        "redis://me:{}@h:1/0",
        "redis://h/0?password={}",
        "unix://:{}@/r.sock",
        "smtp://me:{}@h:99999",
        "me:{}@h",
        "redis://me:a/b#{}&c@h",
        "redis://h?password=a#{}",
        "redis://h?password=a&{}",
        "redis://me:a\n{}@h",
        "redis://me:a@{}@[h",
        "http://{}:x@h",
        "{}@h",
    ],
)
def test_no_form_of_it_is_shown(monkeypatch: pytest.MonkeyPatch, field: str, form: str) -> None:
    """However a secret stands in a setting, neither `config` nor a complaint shows it."""
    monkeypatch.setenv(variable(field), form.format(MARK))
    done = CliRunner().invoke(cli.main, ["config"])

    assert done.exit_code in (0, 2)
    assert MARK not in done.output


def test_a_system_that_works(stack: Stack) -> None:
    """A running system shows no secret: in logs, banners, answers, commands, or process lists."""
    stack.post("/exams", {"pk": "math-7", "duration": 600})
    wait_until(lambda: stack.has_status("math-7", "started"), saying="it works with its secrets")
    wait_until(lambda: stack.lines("unavailable", what="mail"), saying="no mail server")
    asked = (["config"], ["config", "--json"], ["dead", "list"], ["keys", "list"], ["audit"])
    said = [stack.invigil(*words) for words in asked]
    answers = [stack.get(path) for path in ("/exams", "/readyz", "/openapi.json", "/exams/math-7")]

    assert MARK not in "".join(one.stdout + one.stderr for one in said)
    assert MARK not in str(answers)
    assert [] == seen_in(stack.output.parent)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
def test_processes(stack: Stack) -> None:
    """No command line has a secret, and a process' environment only those that it needs."""
    processes = descendants(stack.process.pid)
    assert len(processes) > 8
    lines = {process: (process / "cmdline").read_bytes() for process in processes}
    assert not [line for line in lines.values() if MARK.encode() in line]
    for process in processes[1:]:
        env = (process / "environ").read_bytes()
        assert API_KEY.encode() not in env, lines[process]


@pytest.mark.parametrize("wrong", ["password", "server"])
def test_what_goes_wrong(redis_url: str, tmp_path: Path, wrong: str) -> None:
    """Nor does any part that cannot reach its Redis, started alone, Celery's own words included."""
    url = {
        "password": redis_url.replace(REDIS_PASSWORD, f"{MARK}-wrong"),
        "server": f"redis://me:{MARK}@127.0.0.1:{free_port('127.0.0.1')}/0",
    }[wrong]
    own = {"INVIGIL_KEY": API_KEY, "INVIGIL_REDIS_USERS": ""}
    env = environment(tmp_path / "var", redis_url=url) | own
    path = tmp_path / "said"
    with path.open("wb") as said:

        def run(*words: str) -> "subprocess.Popen[bytes]":
            command = [sys.executable, "-m", "ops.cli", *words]
            return subprocess.Popen(command, env=env, stdout=said, stderr=said, cwd=tmp_path)

        parts = [run("dispatcher"), run("worker", "--queue", "exam")]
        try:
            wait_until(
                lambda: path.read_bytes().count(b'"unavailable"') == len(parts),
                saying="each says that its Redis is away",
            )
            for words in (["up"], ["dead", "list"], ["send", "exam.start", "--pk", "a"]):
                assert run(*words).wait(60) in {1, 2}
        finally:
            for process in parts:
                process.kill()
                process.wait()
    assert [] == seen_in(tmp_path)
