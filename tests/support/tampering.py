"""Tampering: what somebody might do to logs and files, and which rule must see it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops.chain import NOTHING, digest

Lines = list[bytes]


@dataclass(frozen=True, slots=True)
class Crime:
    """Something done to a copy of a data folder, and the rules of which one at least must break."""

    do: Callable[[Path], None]
    rules: frozenset[str]


CRIMES: dict[str, Crime] = {}


def crime(*rules: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Enter what is done, by its name."""

    def enter(do: Callable[[Path], None]) -> Callable[[Path], None]:
        CRIMES[do.__name__] = Crime(do, frozenset(rules))
        return do

    return enter


@crime("lines missing")
def delete_a_line(data: Path) -> None:
    """Take one line away."""
    _change(data, "worker-exam", lambda lines: _without(lines, _find(lines, "applied")))


@crime("line altered")
def edit_a_line(data: Path) -> None:
    """Change a result in the log."""

    def edit(lines: Lines) -> Lines:
        at = _find(lines, "applied", b'"pass"')
        lines[at] = lines[at].replace(b'"pass"', b'"fail"')
        return lines

    _change(data, "worker-exam", edit)


@crime("line out of order")
def swap_two_lines(data: Path) -> None:
    """Exchange two lines of one process."""

    def swap(lines: Lines) -> Lines:
        first = _find(lines, "dispatched")
        second = first + 1 + _find(lines[first + 1 :], "dispatched")
        lines[first], lines[second] = lines[second], lines[first]
        return lines

    _change(data, "dispatcher", swap)


@crime("line repeated", "line altered")
def insert_a_line(data: Path) -> None:
    """Add a line that fits to the one before it, hash and all."""

    def insert(lines: Lines) -> Lines:
        at = _find(lines, "applied")
        forged = json.loads(lines[at]) | {"pk": "forged", "prev": digest(lines[at])}
        forged["seq"] += 1
        return [*lines[: at + 1], json.dumps(forged).encode(), *lines[at + 1 :]]

    _change(data, "worker-exam", insert)


@crime("no chain")
def insert_a_plain_line(data: Path) -> None:
    """Add a line without number and hash."""
    forged = b'{"ts": "2026-11-24T08:00:00.000Z", "event": "applied", "part": "x", "pid": 1}'
    _change(data, "worker-exam", lambda lines: [*lines[:5], forged, *lines[5:]])


@crime("end missing", "end unknown")
def truncate_a_file(data: Path) -> None:
    """Cut the last third of a file."""
    _change(data, "gateway", lambda lines: lines[: len(lines) * 2 // 3])


@crime("end missing", "end unknown")
def cut_one_last_line(data: Path) -> None:
    """Cut the very last line of a part that ended in order."""
    _change(data, "dispatcher", lambda lines: lines[:-1])


@crime("lines added")
def add_a_line_behind_the_end(data: Path) -> None:
    """Go on behind the last line of a part that ended in order, number, hash and all."""

    def add(lines: Lines) -> Lines:
        forged = json.loads(lines[-1]) | {"prev": digest(lines[-1])}
        forged["seq"] += 1
        return [*lines, json.dumps(forged).encode()]

    _change(data, "gateway", add)


@crime("line repeated")
def duplicate_a_line(data: Path) -> None:
    """Let one line stand there twice."""

    def double(lines: Lines) -> Lines:
        at = _find(lines, "accepted")
        return [*lines[: at + 1], *lines[at:]]

    _change(data, "gateway", double)


@crime("process missing")
def drop_a_file(data: Path) -> None:
    """Remove the log of a whole part."""
    (data / "logs/gateway.jsonl").unlink()


@crime("process missing")
def drop_the_dispatchers_lines(data: Path) -> None:
    """Remove whatever a dispatcher wrote, wherever it stands."""
    for path in (data / "logs").glob("*.jsonl"):
        lines = path.read_bytes().splitlines()
        kept = [line for line in lines if json.loads(line)["part"] != "dispatcher"]
        path.write_bytes(b"".join(line + b"\n" for line in kept))


@crime("line out of order")
def move_an_in_time_result(data: Path) -> None:
    """Let a result come in much later than it did."""

    def move(lines: Lines) -> Lines:
        at = _find(lines, "accepted", b'"exam.finish"')
        return [*lines[:at], *lines[at + 1 : -1], lines[at], lines[-1]]

    _change(data, "gateway", move)


@crime("lines missing")
def remove_an_expiry(data: Path) -> None:
    """Let nobody see that a deadline fired."""
    _change(data, "dispatcher", lambda lines: _without(lines, _find(lines, "deadline_fired")))


@crime("record differs")
def change_a_status_on_disk(data: Path) -> None:
    """Turn a failed exam into a passed one, consistently, in its file."""
    path = _exam(data, "fail")
    path.write_text(path.read_text().replace('"fail"', '"pass"'))


@crime("not in the log")
def add_an_exam_on_disk(data: Path) -> None:
    """Make a file of an exam that there never was."""
    path = _exam(data, "pass")
    text = path.read_text().replace(f'"{path.stem}"', '"never-was"')
    (path.parent / "never-was.json").write_text(text)


@crime("file missing")
def remove_an_exam_on_disk(data: Path) -> None:
    """Remove an exam's file."""
    _exam(data, "absent").unlink()


@crime("file damaged")
def damage_an_exam_on_disk(data: Path) -> None:
    """Change a status in a file, and leave its history."""
    path = _exam(data, "absent")
    path.write_text(path.read_text().replace('"absent"', '"pass"', 1))


@crime("beginning missing", "process missing")
def splice_two_runs(data: Path) -> None:
    """Put the end of one run's log behind the beginning of another's."""
    other = (data / "logs/worker-exam.jsonl").read_bytes().splitlines()
    foreign = [
        re.sub(rb'"chain": "(.{16})"', rb'"chain": "%s"' % (b"ab" * 8), one) for one in other
    ]
    _change(data, "gateway", lambda lines: [*lines[: len(lines) // 2], *foreign[len(other) // 2 :]])


@crime("no chain")
def strip_the_chain(data: Path) -> None:
    """Take number and hash off all lines, and edit as you like."""
    _change(data, "gateway", lambda lines: [re.sub(rb', "chain": .*}', b"}", one) for one in lines])


@crime("line altered", "end missing", "lines added")
def chain_anew(data: Path) -> None:
    """Take a line away, and number and hash all lines of its process anew."""

    def again(lines: Lines) -> Lines:
        at = _find(lines, "applied")
        chain = json.loads(lines[at])["chain"]
        return _chained_anew(_without(lines, at), chain)

    _change(data, "worker-exam", again)


@crime("process missing")
def remove_a_process(data: Path) -> None:
    """Remove all lines of a process that was killed: nobody goes on behind them."""
    path = data / "logs/worker-exam.jsonl"
    lines = path.read_bytes().splitlines()
    closed = {json.loads(line)["chain"] for line in lines if b'"log_closed"' in line}
    chains = [json.loads(line)["chain"] for line in lines]
    victim = next(chain for chain in chains if chain not in closed)
    kept = [line for line, chain in zip(lines, chains, strict=True) if chain != victim]
    path.write_bytes(b"".join(line + b"\n" for line in kept))


def _chained_anew(lines: Lines, chain: str) -> Lines:
    seq, head, done = 0, NOTHING, []
    for line in lines:
        parsed = json.loads(line)
        if parsed["chain"] == chain:
            seq += 1
            line = json.dumps(parsed | {"seq": seq, "prev": head}).encode()  # noqa: PLW2901
            head = digest(line)
        done.append(line)
    return done


def _change(data: Path, part: str, change: Callable[[Lines], Lines]) -> None:
    path = data / f"logs/{part}.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))


def _find(lines: Lines, event: str, also: bytes = b"") -> int:
    """Find a line from the middle on, so that others stand before it and behind it."""
    mark = b'"event": "%b"' % event.encode()
    found = [at for at, line in enumerate(lines) if mark in line and also in line]
    return found[len(found) // 2]


def _without(lines: Lines, at: int) -> Lines:
    return lines[:at] + lines[at + 1 :]


def _exam(data: Path, status: str) -> Path:
    paths = sorted((data / "exams").glob("[0-9a-f][0-9a-f]/*.json"))
    return next(path for path in paths if json.loads(path.read_text())["status"] == status)
