"""Secrets of Redis: neither a setting nor the file of logins shows, whatever goes wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stack import Stack, running
from support.users import ADMIN, admin, variables
from support.waiting import wait_until

from ops.settings import Settings

#: One per setting that can hold a secret, each in every place where it can stand.
PASSWORD, MAIL, KEY = "geheim-redis-4711", "geheim-mail-4712", "inv_0badcafe_geheim-key-4713"
SECRETS = (PASSWORD, MAIL, KEY)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, server: Settings) -> Iterator[Stack]:
    """A system with secrets in its settings, whose mail server is away."""
    given = {
        **variables(server.redis),
        "REDIS_URL": f"{server.redis}?username={ADMIN}&password={PASSWORD}",
        "INVIGIL_SMTP_URL": f"smtp://me:{MAIL}@127.0.0.1:1",
        "INVIGIL_KEY": KEY,
        "INVIGIL_LOG_LEVEL": "debug",
    }
    with admin(server.redis) as client:
        client.flushall()  # no events of other tests, which a digest could not tell of
    folder = tmp_path_factory.mktemp("stack")
    with running(folder, redis_url=None, variables=given, mail_every=1) as stack:
        yield stack


def passwords(stack: Stack) -> list[str]:
    """The secrets of the settings, and the passwords of all roles."""
    path = Path(stack.env["INVIGIL_REDIS_USERS"])
    own = [word for word in path.read_text().split('"') if len(word) > 40]
    assert len(own) == 6
    return [*SECRETS, *own]


def test_no_log_has_one(stack: Stack) -> None:
    """Neither the logs nor the output of a system that meets errors, and nothing it answers."""
    wait_until(lambda: stack.lines("unavailable", what="mail"), saying="mail is away")
    shown = [stack.output.read_text(), stack.invigil("config").stdout]
    shown += [path.read_text() for path in stack.settings.logs.rglob("*.jsonl")]

    text = "\n".join(shown)

    assert "INVIGIL_SMTP_URL" in text
    assert not [secret for secret in passwords(stack) if secret in text]


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="Linux alone shows them so")
def test_no_process_list_has_one(stack: Stack) -> None:
    """The command line of each process is without."""
    parts = {line["pid"] for line in stack.lines("part_ready") if line.get("pid")}
    assert len(parts) >= 6
    for pid in {*parts, stack.process.pid}:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
        assert not [secret for secret in passwords(stack) if secret in words]


@pytest.mark.parametrize("command", ["gateway", "dispatcher", "up", "send", "dead"])
def test_no_error_has_one(stack: Stack, tmp_path: Path, command: str) -> None:
    """A part, or a tool, that cannot use what it was given says so without it."""
    arguments = {"send": ["exam.start", "--pk", "a"], "dead": ["list"]}.get(command, [])
    broken = {
        "INVIGIL_DATA": str(tmp_path / "var"),
        "REDIS_URL": f"redis://me:{PASSWORD}@127.0.0.1:1/no-database",
    }
    told = Stack(
        settings=stack.settings,
        env={**stack.env, **broken},
        process=stack.process,
        output=stack.output,
    ).invigil(command, *arguments)

    assert told.returncode != 0
    assert "REDIS_URL: 'redis://***@127.0.0.1:1/no-database' is not allowed" in told.stderr
    assert not [secret for secret in passwords(stack) if secret in told.stdout + told.stderr]
