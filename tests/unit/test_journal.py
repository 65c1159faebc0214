"""The chain of a process' lines: forks, kills, full files, and who accounts for whose end."""

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ops.audit.audit import Audit
from ops.audit.inputs import Inputs
from ops.chain import HEADS, NOTHING, Register, digest, ends
from ops.logfile import LogFile, older_files, remove_oldest

HEAD = """
import logging, os, sys, time
import structlog
from ops import log as logs
from ops.events import Event
from ops.settings import Settings
logs.MEGABYTE = int(os.environ.get("MEGABYTE", logs.MEGABYTE))
logs.configure(Settings.read(data=sys.argv[1], log_size=1), part="worker")
log = structlog.get_logger()
"""


def run(data: Path, code: str, **env: str) -> str:
    """Run *code* in a process that logs; return its standard output."""
    command = [sys.executable, "-c", HEAD + code, str(data)]
    return subprocess.run(
        command, env={**os.environ, **env}, stdout=subprocess.PIPE, check=False
    ).stdout.decode()


def chains(text: str) -> dict[str, list[tuple[bytes, dict[str, Any]]]]:
    """Sort lines by chain; of each as it stands there, and parsed."""
    found: dict[str, list[tuple[bytes, dict[str, Any]]]] = {}
    for raw in text.encode().splitlines():
        line = json.loads(raw)
        found.setdefault(line["chain"], []).append((raw, line))
    return found


def violations(data: Path, folder: Path) -> dict[str, list[str]]:
    """Audit a data folder's logs, its register of heads included."""
    from ops.audit import anchors  # noqa: PLC0415

    audit = Audit()
    paths = sorted((data / "logs").glob("*.jsonl"))
    for head, is_end in anchors.registers(paths):
        audit.integrity.expect(head, where="the register", is_end=is_end)
    for block in Inputs(paths, folder).blocks(lambda _: None):
        audit.take(block)
    audit.end()
    return {rule: one.examples for rule, one in audit.findings.violations.items()}


def test_chain(tmp_path: Path) -> None:
    """Each line has the next number, and the hash of the one before as it was written."""
    printed = run(tmp_path, "[log.info(Event.TRIMMED, entries=n) for n in range(5)]")

    [lines] = chains(printed).values()
    assert [1, 2, 3, 4, 5, 6, 7] == [line["seq"] for _, line in lines]
    assert NOTHING == lines[0][1]["prev"]
    for (raw, _), (_, line) in pairwise(lines):
        assert digest(raw) == line["prev"]
    assert ("log_opened", "log_closed") == (lines[0][1]["event"], lines[-1][1]["event"])


def test_forked_process_has_a_chain_of_its_own(tmp_path: Path) -> None:
    """A pool process begins a chain; its parent's goes on as if nothing had happened."""
    code = """
log.info(Event.TRIMMED, entries=1)
child = os.fork()
log.info(Event.TRIMMED, entries=2)
if not child:
    os._exit(0)
os.waitpid(child, 0)
log.info(Event.TRIMMED, entries=3)
"""
    found = chains(run(tmp_path, code))

    parent, child = sorted(found.values(), key=len, reverse=True)
    assert [1, 2, 3] == [line["entries"] for _, line in parent if "entries" in line]
    assert ["log_opened", "trimmed"] == [line["event"] for _, line in child]
    assert len({line["pid"] for _, line in child + parent}) == 2
    assert {} == violations(tmp_path, tmp_path)


def test_end_of_a_killed_process(tmp_path: Path) -> None:
    """Who comes next accounts for where a killed process' lines ended; a cut is then seen."""
    run(tmp_path, "log.info(Event.TRIMMED, entries=1); os.kill(os.getpid(), 9)")
    assert 1 == len(Register(tmp_path / "logs" / HEADS).heads())
    assert {} == violations(tmp_path, tmp_path)

    run(tmp_path, "log.info(Event.TRIMMED, entries=2)")
    path = tmp_path / "logs/worker.jsonl"
    killed, following = chains(path.read_text()).values()
    [ended] = following[0][1]["ended"]
    assert (ended["chain"], ended["seq"]) == (killed[0][1]["chain"], 2)
    assert digest(killed[-1][0]) == ended["head"]
    assert {} == violations(tmp_path, tmp_path)

    kept = [raw for raw, _ in [*killed[:-1], *following]]
    path.write_bytes(b"".join(raw + b"\n" for raw in kept))
    assert ["end missing"] == list(violations(tmp_path, tmp_path))


def test_line_after_the_last_one(tmp_path: Path) -> None:
    """A thread that outlives the end of the log begins a chain; the closed one stays closed."""
    code = """
from ops.journal import _here
[journal] = _here
log.info(Event.TRIMMED)
log.info(Event.TRIMMED)
journal.shut()
[log.info(Event.TRIMMED, entries=n) for n in range(2)]
os._exit(0)
"""
    late, closed = sorted(chains(run(tmp_path, code)).values(), key=len)

    assert "log_closed" == closed[-1][1]["event"]
    assert ["log_opened", "trimmed", "trimmed"] == [line["event"] for _, line in late]
    assert {} == violations(tmp_path, tmp_path)


def test_lost_account(tmp_path: Path) -> None:
    """While the disk takes no line, the ends that it would have told of are kept for the next."""
    run(tmp_path, "log.info(Event.TRIMMED); os.kill(os.getpid(), 9)")
    full = """
from ops.logfile import LogFile
def refuse(self, line):
    raise OSError(28, "No space left on device")
LogFile.write = refuse
log.info(Event.TRIMMED)
"""
    run(tmp_path, full)
    assert 1 == len([one for one in Register(tmp_path / "logs" / HEADS).heads() if one.seq])

    run(tmp_path, "log.info(Event.TRIMMED)")

    assert {} == violations(tmp_path, tmp_path)


def test_living_process_is_not_accounted_for(tmp_path: Path) -> None:
    """A process that lives keeps its place in the register, whoever comes and goes."""
    command = [sys.executable, "-c", HEAD + "log.info(Event.TRIMMED); input()", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as living:
        assert living.stdout
        assert living.stdout.readline()
        assert living.stdout.readline()
        run(tmp_path, "log.info(Event.TRIMMED)")

        register = Register(tmp_path / "logs" / HEADS)
        [alive] = register.alive()
        assert alive in {head.chain for head in register.heads()}
        assert b'"ended": []' in (tmp_path / "logs/worker.jsonl").read_bytes()
        assert {} == violations(tmp_path, tmp_path)
        living.send_signal(signal.SIGKILL)


def test_nobody_reads(tmp_path: Path) -> None:
    """Lines stand in the file, though whoever read standard output is dead."""
    code = """
log.info(Event.TRIMMED, entries=1)
reader, writer = os.pipe()
os.dup2(writer, 1)
os.close(reader)
log.info(Event.TRIMMED, entries=2)
log.info(Event.TRIMMED, entries=3)
os.dup2(2, 1)
"""
    run(tmp_path, code)

    text = (tmp_path / "logs/worker.jsonl").read_text()
    [lines] = chains(text).values()
    assert [1, 2, 3] == [line["entries"] for _, line in lines if "entries" in line]
    assert {} == violations(tmp_path, tmp_path)


def test_full_file(tmp_path: Path) -> None:
    """A full file gets a name with the time; all processes go on in a new one; no chain breaks."""
    code = """
child = os.fork()
for n in range(30):
    log.info(Event.TRIMMED, entries=n, text="x" * 500)
    time.sleep(0.1)
if child:
    os.waitpid(child, 0)
else:
    os._exit(0)
"""
    run(tmp_path, code, MEGABYTE="4000")

    path = tmp_path / "logs/worker.jsonl"
    older = older_files(path)
    assert older
    text = b"".join(one.read_bytes() for one in [*older, path]).decode()
    rotated = [json.loads(line) for line in text.splitlines() if '"log_rotated"' in line]
    assert [one.name for one in older] == [line["after"] for line in rotated]
    written = [line for lines in chains(text).values() for _, line in lines if "entries" in line]
    assert sorted([*range(30)] * 2) == sorted(line["entries"] for line in written)
    assert {} == violations(tmp_path, tmp_path)


def test_full_file_at_the_end(tmp_path: Path) -> None:
    """A file that is full when a process ends is no reason to lose its last line."""
    code = """
for n in range(9):
    log.info(Event.TRIMMED, entries=n, text="x" * 500)
logging.getLogger().handlers[0]._file._check_at = 0.0
"""
    run(tmp_path, code, MEGABYTE="4000")

    assert older_files(tmp_path / "logs/worker.jsonl")
    assert b'"log_closed"' in (tmp_path / "logs/worker.jsonl").read_bytes()
    assert {} == violations(tmp_path, tmp_path)


def test_removed_file(tmp_path: Path) -> None:
    """What is removed because there is too much is said, and the rest still holds together."""
    run(
        tmp_path,
        """
for n in range(60):
    log.info(Event.TRIMMED, entries=n, text="x" * 500)
    time.sleep(0.05)
from ops.logfile import remove_oldest
from pathlib import Path
for name, last in remove_oldest(Path(sys.argv[1]) / "logs/worker.jsonl", keep=1):
    log.info(Event.LOG_REMOVED, file=name, chains=last)
""",
        MEGABYTE="4000",
    )

    assert b'"log_removed"' in (tmp_path / "logs/worker.jsonl").read_bytes()
    assert {} == violations(tmp_path, tmp_path)
    for older in older_files(tmp_path / "logs/worker.jsonl"):
        older.unlink()
    assert ["beginning missing"] == list(violations(tmp_path, tmp_path))


def test_oldest_files_go_first(tmp_path: Path) -> None:
    """So many full files stay; of those that go, the last line of each chain is known."""
    path = tmp_path / "worker.jsonl"
    for n in range(4):
        line = b'{"event": "x", "chain": "%016d", "seq": 9, "prev": "%032d"}' % (n, n)
        path.with_name(f"worker.2026112{n}T000000000000Z.jsonl").write_bytes(line + b"\n")
    path.with_name("worker-other.20261120T000000000000Z.jsonl").touch()

    removed = remove_oldest(path, keep=2)

    names = [f"worker.2026112{n}T000000000000Z.jsonl" for n in range(4)]
    assert names[:2] == [name for name, _ in removed]
    assert names[2:] == [one.name for one in older_files(path)]
    assert {"0000000000000001": (9, digest(line.replace(b"3", b"1")))} == dict(removed[1][1])


def test_removed_twice(tmp_path: Path) -> None:
    """What a removed file was told to end with is told again when that line is removed, too."""
    path = tmp_path / "worker.jsonl"
    tail = b'"chain": "00000000000000ab", "seq": 9, "prev": "%032d"}\n' % 0
    told = b'{"event": "log_removed", "chains": {"rare": [7, "h"], "00000000000000ab": [1, "h"]}, '
    path.with_name("worker.20261121T000000000000Z.jsonl").write_bytes(told + tail)

    [(_, last)] = remove_oldest(path, keep=0)

    assert (7, 9) == (last["rare"][0], last["00000000000000ab"][0])


def test_file_that_was_moved_away(tmp_path: Path) -> None:
    """Where somebody else moves the file, the next line makes a new one."""
    path = tmp_path / "worker.jsonl"
    file = LogFile(path, most_bytes=1 << 20)
    file.write(b"one")
    path.rename(tmp_path / "elsewhere")

    assert file.turn() is None
    file.write(b"two")

    assert b"two\n" == path.read_bytes()
    file.close()


def test_ends() -> None:
    """Lines that are none of ours are passed over."""
    line = b'{"chain": "00000000000000ab", "seq": 3, "prev": "%032d"}' % 0

    assert {"00000000000000ab": (3, digest(line))} == ends([b"x\n", line + b"\n", b"{}\n"])


TOGETHER = """
import json
from ops import journal
from ops.chain import Register
from ops.logfile import LogFile
log.info(Event.TRIMMED, entries=0)
def three():
    with journal.together():
        [log.info(Event.TRIMMED, entries=n) for n in (1, 2, 3)]
"""
#: Where a process dies that writes three lines together, and how many of them are there then.
DEATHS = {
    "before": ("LogFile.write = lambda *_: os.kill(os.getpid(), 9)", 0),
    "in the middle": (
        "write = LogFile.write\n"
        "def half(self, lines):\n"
        "    write(self, lines[: lines.rindex(b'{')].rstrip())\n"
        "    os.kill(os.getpid(), 9)\n"
        "LogFile.write = half",
        2,
    ),
    "after": (
        "note = Register.note\n"
        "def noting(self, last, until=None):\n"
        "    note(self, last, until=until) if until else os.kill(os.getpid(), 9)\n"
        "Register.note = noting",
        3,
    ),
}


def test_together(tmp_path: Path) -> None:
    """Lines of one body are written with one write, at its end, in their order and chained."""
    code = """
with journal.together():
    log.info(Event.TRIMMED, entries=1)
    with journal.together():
        log.info(Event.TRIMMED, entries=2)
    assert 2 == len(open(f"{sys.argv[1]}/logs/worker.jsonl").readlines())
write, count = os.write, 0
def counted(*given):
    global count
    count += 1
    return write(*given)
os.write = counted
three()
os.write = write
assert 1 == count
try:
    with journal.together():
        log.info(Event.TRIMMED, entries=4)
        raise KeyError
except KeyError:
    log.info(Event.TRIMMED, entries=5)
with journal.together():
    pass
"""
    printed = run(tmp_path, TOGETHER + code)

    [lines] = chains(printed).values()
    assert [0, 1, 2, 1, 2, 3, 4, 5] == [line["entries"] for _, line in lines if "entries" in line]
    assert (tmp_path / "logs/worker.jsonl").read_text() == printed
    assert {} == violations(tmp_path, tmp_path)


@pytest.mark.parametrize("death", DEATHS)
def test_killed_while_it_writes_several(tmp_path: Path, death: str) -> None:
    """What a killed process has written of them is its own; more, or others, are not."""
    code, there = DEATHS[death]
    path = tmp_path / "logs/worker.jsonl"
    run(tmp_path, f"{TOGETHER}{code}\nthree()")
    assert {} == violations(tmp_path, tmp_path)
    run(tmp_path, "log.info(Event.TRIMMED, entries=9)")
    killed, following = chains(path.read_text()).values()
    assert there == len(killed) - 2
    assert {} == violations(tmp_path, tmp_path)

    [ended] = following[0][1]["ended"]
    assert (2, 5) == (ended["seq"], ended["or_seq"])
    assert digest(killed[1][0]) == ended["head"]
    raws = [raw for raw, _ in killed]
    if there == 3:
        assert digest(raws[-1]) == ended["or_head"]
        raws[-1] = raws[-1].replace(b'"entries": 3', b'"entries": 7')
        path.write_bytes(b"".join(raw + b"\n" for raw in [*raws, *(raw for raw, _ in following)]))
        assert ["line altered"] == list(violations(tmp_path, tmp_path))
    for number in range(len(raws) + 1, 7):
        line = {"ts": "x", "event": "trimmed", "part": "worker", "pid": 1, "chain": ended["chain"]}
        line |= {"seq": number, "prev": digest(raws[-1])}
        raws.append(json.dumps(line).encode())
    path.write_bytes(b"".join(raw + b"\n" for raw in [*raws, *(raw for raw, _ in following)]))
    assert "lines added" in violations(tmp_path, tmp_path)


def test_many_together(tmp_path: Path) -> None:
    """No write is longer than what a pipe takes as one; lines that are longer go alone."""
    code = """
from select import PIPE_BUF
write, sizes = os.write, []
def noted(descriptor, text):
    sizes.append((len(text), text.count(b"\\n")))
    return write(descriptor, text)
os.write = noted
with journal.together():
    [log.info(Event.TRIMMED, entries=n, text="x" * (5000 if n == 20 else 10)) for n in range(40)]
os.write = write
assert all(size <= PIPE_BUF or lines == 1 for size, lines in sizes), sizes
assert sum(lines for _, lines in sizes) == 40
assert len(sizes) < 12
"""
    run(tmp_path, TOGETHER + code)

    assert {} == violations(tmp_path, tmp_path)
    [lines] = chains((tmp_path / "logs/worker.jsonl").read_text()).values()
    assert [0, *range(40)] == [line["entries"] for _, line in lines if "entries" in line]


def test_register_of_an_older_version(tmp_path: Path) -> None:
    """A process that was killed before an update is accounted for after it."""
    run(tmp_path, "log.info(Event.TRIMMED, entries=1); os.kill(os.getpid(), 9)")
    [path] = (tmp_path / "logs" / HEADS).iterdir()
    path.write_text(" ".join(path.read_text().split(" ")[:4]) + "\n")

    run(tmp_path, "log.info(Event.TRIMMED, entries=2)")

    _, following = chains((tmp_path / "logs/worker.jsonl").read_text()).values()
    assert path.name in [ended["chain"] for ended in following[0][1]["ended"]]
    assert {} == violations(tmp_path, tmp_path)
