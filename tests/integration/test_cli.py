"""The command line: clear help, clear errors, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.authority import Authority, variables
from support.breakable import Breakable
from support.stack import environment
from support.users import admin, known

from ops import preflight
from ops.settings import Settings

PARTS = ["up", "gateway", "dispatcher", "worker", "beat", "send", "config"]


def invigil(folder: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run a command on an empty data folder."""
    env = environment(folder / "var", redis_url=settings.pop("redis_url", None))
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", *arguments],
        env={**env, **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", PARTS)
def test_help(tmp_path: Path, command: str) -> None:
    """Each command is in the list, and explains itself."""
    assert f"  {command} " in invigil(tmp_path, "--help").stdout
    shown = invigil(tmp_path, command, "--help")

    assert (0, True) == (shown.returncode, len(shown.stdout.splitlines()) > 4)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("INVIGIL_PORT", "abc"),
        ("INVIGIL_EXAM_DURATION", "-5"),
        ("INVIGIL_EXAM_DURATION", "1.5"),
        ("INVIGIL_MAIL_EVERY", "0"),
        ("INVIGIL_ECHO_DELAY", "nan"),
        ("REDIS_URL", "http://localhost"),
        ("INVIGIL_SLOW_AUTOSCALE", "1,2"),
    ],
)
@pytest.mark.parametrize("command", [("up",), ("gateway",), ("dispatcher",), ("beat",)])
def test_bad_setting(tmp_path: Path, command: tuple[str], variable: str, value: str) -> None:
    """A bad value is one line that names the variable and the value; the exit code is 2."""
    shown = invigil(tmp_path, *command, **{variable: value})

    [line] = shown.stderr.splitlines()
    assert 2 == shown.returncode
    assert variable in line
    assert repr(value) in line


@pytest.mark.parametrize(
    "command", [("up",), ("gateway",), ("dispatcher",), ("worker", "--queue", "exam"), ("beat",)]
)
def test_unusable_folder(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A data folder that cannot be used is one line that names it; the exit code is 2."""
    (tmp_path / "file").write_text("")
    shown = invigil(tmp_path, *command, INVIGIL_DATA=str(tmp_path / "file/var"))

    [line] = shown.stderr.splitlines()
    assert (2, True) == (shown.returncode, "INVIGIL_DATA: cannot use" in line)


def test_foreign_address(tmp_path: Path) -> None:
    """An address that is not this machine's is a matter of INVIGIL_HOST."""
    shown = invigil(tmp_path, "up", INVIGIL_HOST="192.0.2.1", INVIGIL_PORT="8080")

    assert 2 == shown.returncode
    assert "INVIGIL_HOST" in shown.stderr


@pytest.mark.parametrize("command", ["gateway", "up"])
def test_expired_certificate(tmp_path: Path, command: str) -> None:
    """With a certificate that has expired nothing starts, and one line says so."""
    files = Authority(tmp_path).issue(days=(-9, -1))

    done = invigil(tmp_path, command, **variables(files))

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"invigil: INVIGIL_TLS_CERT: {files[0]} has expired: ")
    assert done.stderr.count("\n") == 1


def test_bad_setting_under_celery(tmp_path: Path) -> None:
    """Celery's own command line shows the same line for a bad value."""
    script = str(Path(sys.executable).with_name("celery"))
    env = {**environment(tmp_path / "var", redis_url=None), "INVIGIL_PORT": "abc"}

    shown = subprocess.run(
        [script, "-A", "tasks", "worker"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 2 == shown.returncode
    assert "INVIGIL_PORT: 'abc' is not allowed" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_config(tmp_path: Path) -> None:
    """`config` shows every setting by its variable, and no secret."""
    shown = invigil(
        tmp_path,
        "config",
        "--json",
        redis_url="redis://:hunter2@localhost",
        INVIGIL_SMTP_URL="smtps://me:hunter2@mail",
    )

    settings = json.loads(shown.stdout)
    assert "120" == settings["INVIGIL_EXAM_DURATION"]
    assert "redis://***@localhost" == settings["REDIS_URL"]
    assert "hunter2" not in shown.stdout + invigil(tmp_path, "config").stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("exam.start",), "pk"),
        (("exam.start", "--pk", "../x"), "pk"),
        (("exam.start", "--pk", "a", "--duration", "0"), "duration"),
        (("exam.finish", "--pk", "a"), "status"),
        (("echo", "--text", "a", "--delay", "-1"), "delay"),
        (("echo", "--pk", "a", "--text", "a"), "pk"),
        (("exam.start", "--pk", "a", "--id", "x", "--count", "2"), "id"),
    ],
)
def test_send_bad(tmp_path: Path, arguments: tuple[str, ...], named: str) -> None:
    """A command that the stream would bury is refused before it is sent, naming the field."""
    shown = invigil(tmp_path, "send", *arguments)

    assert 2 == shown.returncode
    assert shown.stderr.startswith(f"invigil send: {named}: ")


def test_send_without_redis(tmp_path: Path) -> None:
    """Without a server `send` says which one it tried and what to do."""
    shown = invigil(tmp_path, "send", "exam.start", "--pk", "a")

    assert 1 == shown.returncode
    assert "redis.sock does not take it" in shown.stderr
    assert "invigil up" in shown.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, "appendfsync everysec"),
        ({"appendfsync": "always", "appendonly": "no"}, "appendonly no"),
        (None, "CONFIG GET is refused"),
    ],
)
def test_up_strict_on_a_lax_redis(
    tmp_path: Path, breakable: Breakable, change: dict[str, str] | None, named: str
) -> None:
    """Strict durability on a server that does not keep it, or does not say, is refused."""
    url = f"{breakable.url}?username=admin&password=any"
    with admin(breakable.url) as client:
        for name, value in (change or {}).items():
            client.config_set(name, value)
        if change is None:
            client.execute_command("ACL", "SETUSER", "guest", "on", ">x", "~*", "+@all", "-config")
            url = f"{breakable.url}?username=guest&password=x"

    done = invigil(tmp_path, "up", redis_url=url, INVIGIL_DURABILITY="strict")

    assert (2, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "INVIGIL_DURABILITY" in done.stderr
    assert named in done.stderr


def test_strict_redis_is_taken(breakable: Breakable) -> None:
    """A server that syncs each command is what strict asks for."""
    with admin(breakable.url) as client:
        client.config_set("appendfsync", "always")

    url = f"{breakable.url}?username=admin&password=any"
    logins = known(breakable.url)
    preflight.complete(Settings(redis_url=url, redis_users=logins, port=0, durability="strict"))


def test_up_without_redis(tmp_path: Path) -> None:
    """A REDIS_URL that does not answer is said loudly; nothing is started in its place."""
    shown = invigil(tmp_path, "up", redis_url="redis://:hunter2@127.0.0.1:1")

    assert 1 == shown.returncode
    assert "redis://***@127.0.0.1:1 does not answer" in shown.stderr
    assert "hunter2" not in shown.stdout + shown.stderr
