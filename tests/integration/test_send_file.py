"""`invigil send --file`: what it sends, what it says, and how it goes on after a cut."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from redis import Redis
from support.authority import Authority, variables
from support.breakable import Breakable
from support.gateway import Process, on_stream, process
from support.keyed import make
from support.users import admin
from support.waiting import wait_until

from ingest.access import Scope
from ingest.lines import MAX_LINE_BYTES
from ops import keys, send_file
from ops.send_cli import command

LINES = [f'{{"type":"exam.start","data":{{"pk":"exam-{number}"}}}}\n' for number in range(1, 5)]

#: Nobody reads what is sent here, and a busy machine takes its time.
PATIENT = {"INVIGIL_MAX_WAIT": "3600"}


@pytest.fixture
def client(breakable: Breakable) -> Iterator[Redis]:
    """The test's own view of Redis."""
    with admin(breakable.url) as client:
        yield client


@pytest.fixture
def gateway(breakable: Breakable, tmp_path: Path) -> Iterator[Process]:
    """A gateway that takes what is sent."""
    with process(tmp_path, breakable.url) as gateway:
        gateway.url()
        yield gateway


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of four good commands."""
    file = tmp_path / "commands of today.ndjson"
    file.write_text("".join(LINES))
    return file


def send(*arguments: object, stdin: bytes | None = None, port: int | None = None) -> Result:
    """Run `invigil send`; it never ends with a traceback."""
    env = {"INVIGIL_PORT": str(port)} if port else {}
    done = CliRunner(env=env).invoke(command, [str(one) for one in arguments], input=stdin)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def sent(client: Redis) -> list[tuple[str, str | None]]:
    """Exam and id of each command on the stream."""
    return [(one.data.model_dump()["pk"], one.id) for one in on_stream(client).values()]


def test_all_good(gateway: Process, client: Redis, file: Path) -> None:
    """All commands are on the stream in the file's order, at the gateway of the settings."""
    port = int(gateway.url().rpartition(":")[2])

    done = send("--file", file, port=port)

    assert (done.exit_code, done.stdout, done.stderr) == (0, "4 taken, 0 refused\n", "")
    assert [pk for pk, _ in sent(client)] == ["exam-1", "exam-2", "exam-3", "exam-4"]


def test_over_tls(
    breakable: Breakable, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway with a certificate is found by the settings; its authority has to be trusted."""
    authority = Authority(tmp_path)
    env = variables(authority.issue())
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with process(tmp_path / "data", breakable.url, **env) as gateway:
        port = int(gateway.url().rpartition(":")[2])
        refused = send("--file", file, port=port)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        done = send("--file", file, port=port)

    assert (done.exit_code, done.stdout, done.stderr) == (0, "4 taken, 0 refused\n", "")
    assert refused.exit_code == 1
    assert "unable to get local issuer certificate" in refused.stderr
    assert "SSL_CERT_FILE" in refused.stderr


def test_second_run(gateway: Process, client: Redis, file: Path) -> None:
    """A second run sends the same commands under the same ids, from a file or from a pipe."""
    send("--file", file, "--url", gateway.url())

    send("--file", "-", "--url", gateway.url(), stdin=file.read_bytes())
    send("--file", file, "--url", gateway.url(), "--from-line", 3)

    stored = sent(client)
    assert stored[:4] == stored[4:8]
    assert stored[2:4] == stored[8:]
    assert len({command_id for _, command_id in stored}) == 4


def test_source(gateway: Process, client: Redis, file: Path) -> None:
    """A run under another source is told apart from the first."""
    send("--file", file, "--url", gateway.url(), "--source", "second")

    assert {one.source for one in on_stream(client).values()} == {"second"}


def test_bad_lines(gateway: Process, client: Redis, file: Path) -> None:
    """Each bad line is named by its number in the file; the others are taken."""
    long = "[" * (MAX_LINE_BYTES + 1) + "\n"
    bad = ["\n", LINES[0], "no command\n", long, LINES[1], '{"type":"echo","data":{}}\n']
    file.write_text("".join([*bad, LINES[2][:-9]]))

    done = send("--file", file, "--url", gateway.url())

    assert (done.exit_code, done.stdout) == (1, "2 taken, 4 refused\n")
    said = [line.partition(":") for line in done.stderr.splitlines()]
    assert [number for number, _, _ in said] == ["line 3", "line 4", "line 6", "line 7"]
    assert said[2][2] == " text: is missing"
    assert [pk for pk, _ in sent(client)] == ["exam-1", "exam-2"]


@pytest.mark.parametrize("body", [b"", b"\n\n"])
def test_nothing_to_send(gateway: Process, body: bytes) -> None:
    """A file without commands is no failure."""
    done = send("--file", "-", "--url", gateway.url(), stdin=body)

    assert (done.exit_code, done.stdout, done.stderr) == (0, "0 taken, 0 refused\n", "")


def test_more_than_a_piece(gateway: Process, client: Redis, file: Path) -> None:
    """A file that needs several requests is sent whole, and lines keep their numbers."""
    line = '{{"type":"exam.start","data":{{"pk":"exam-{}"}},"more":"{}"}}\n'
    count = 3 * send_file.PIECE_BYTES // 1000
    file.write_text("".join(line.format(at, "x" * 1000) for at in range(count)) + "bad\n")

    done = send("--file", file, "--url", gateway.url())

    assert done.stdout == f"{count} taken, 1 refused\n"
    assert done.stderr.startswith(f"line {count + 1}: ")
    assert [pk for pk, _ in sent(client)] == [f"exam-{at}" for at in range(count)]
    assert len(gateway.lines("bulk_read")) > 1


def test_cut(breakable: Breakable, client: Redis, file: Path, tmp_path: Path) -> None:
    """
    After a cut it says how to go on, and going on is what an uncut run would have sent.

    The gateway ends between two lines of a pipe; the next one is on another port.
    """
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    argv = [sys.executable, "-m", "ops.cli", "send", "--file", "-", "--url"]
    with process(tmp_path / "first", breakable.url, **PATIENT) as gateway:
        url = gateway.url()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen([*argv, url], text=True, **pipes) as running:  # type: ignore[call-overload]
            running.stdin.writelines(LINES[:2])
            running.stdin.flush()
            wait_until(lambda: client.xlen(keys.COMMANDS) == 2, saying="two are taken")
            wait_until(lambda: gateway.lines("bulk_read"), saying="and read to the end")
            gateway.process.terminate()  # it still answers; nothing here sees when it has
            gateway.process.wait()
            said, complaint = running.communicate("".join(LINES[2:]), timeout=30)

    with process(tmp_path / "second", breakable.url, **PATIENT) as gateway:
        how = complaint.splitlines()[-1].replace(url, gateway.url())
        done = send(*shlex.split(how)[2:], stdin=file.read_bytes())
        again = send("--file", file, "--url", gateway.url())

    assert (running.returncode, said) == (1, "2 taken, 0 refused\n")
    assert complaint.startswith("invigil send: stopped at line 3: ")
    assert how.split()[:3] == ["invigil", "send", "--file"]
    assert (done.stdout, again.stdout) == ("2 taken, 0 refused\n", "4 taken, 0 refused\n")
    assert sent(client)[:4] == sent(client)[4:]


def test_redis_is_away(gateway: Process, breakable: Breakable, file: Path) -> None:
    """A gateway that takes no commands ends the run: it says why, and at which line to go on."""
    breakable.kill()

    done = send("--file", file, "--url", gateway.url(), "--from-line", 2, "--source", "a b")

    where = f"--source 'a b' --url {gateway.url()} --from-line 2"
    assert (done.exit_code, done.stdout) == (1, "0 taken, 0 refused\n")
    assert "stopped at line 2: " in done.stderr
    assert "503 whether the command was taken is not known" in done.stderr
    assert done.stderr.splitlines()[-1] == f"  invigil send --file '{file}' {where}"


def test_too_many(breakable: Breakable, client: Redis, file: Path, tmp_path: Path) -> None:
    """Where a key has sent what it may for a long time, the run ends, and can go on from there."""
    file.write_text('{"type":"echo","data":{"text":"hi"}}\n' * 1_200)
    token = make(tmp_path, Scope.WRITE)["Authorization"].split()[1]
    with process(tmp_path, breakable.url, INVIGIL_KEY_RATE="600/hour") as gateway:
        env = {"INVIGIL_KEY": token}
        done = CliRunner(env=env).invoke(command, ["--file", str(file), "--url", gateway.url()])

    taken = client.xlen(keys.COMMANDS)
    assert (done.exit_code, done.stdout) == (1, f"{taken} taken, 0 refused\n")
    assert 0 < taken <= 600
    assert f"stopped at line {taken + 1}: more than 600/hour came with the key" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["exam.start", "--file", "-"], "--file"),
        (["--file", "-", "--pk", "a"], "--file"),
        (["--file", "-", "--url", "localhost:80"], "--url"),
        (["--file", "-", "--url", "http://localhost:99999"], "--url"),
        (["--file", "-", "--from-line", "0"], "--from-line"),
        (["--file", "/nowhere/at/all"], "--file"),
        (["exam.start", "--pk", "a", "--from-line", "2"], "--from-line"),
        (["exam.start", "--pk", "a", "--url", "http://localhost"], "--url"),
        ([], "--file"),
    ],
)
def test_what_cannot_be_meant(arguments: list[str], named: str) -> None:
    """What makes no sense together is refused, and named, before anything is sent."""
    done = send(*arguments, stdin=LINES[0].encode())

    assert done.exit_code == 2
    assert named in done.stderr


def test_any_port(file: Path) -> None:
    """Where the settings tell no port, the user is asked for the URL."""
    done = CliRunner(env={"INVIGIL_PORT": "0"}).invoke(command, ["--file", str(file)])

    assert (done.exit_code, "--url" in done.stderr) == (2, True)
