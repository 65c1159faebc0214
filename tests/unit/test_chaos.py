"""The judge of a chaos run has teeth, and a plan is what its seed says."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ops.chaos import plan
from ops.chaos.evidence import Evidence
from ops.chaos.judge import judge, lateness_ms
from ops.chaos.ledger import Ledger, Sent
from ops.chaos.oracle import Came, Expected, expected

#: 2026-11-24T00:00:00Z, when the exam of these tests begins; it lasts five seconds.
BEGAN = 1_795_478_400_000
START = f"{BEGAN}-0"
IN_TIME = f"{BEGAN + 5_000}-0"
LATE = f"{BEGAN + 5_001}-0"


def sent(type_name: str, value: int | str, entry: str | None, **more: Any) -> Sent:
    """Make a line of the ledger; without an entry nobody knows whether it arrived."""
    known = {"pk": "a", "id": entry, **more}
    return Sent(at_s=0, door="stream", type=type_name, value=value, entry=entry, **known)


def record(type_name: str, value: int | str, entry: str, verdict: str) -> dict[str, Any]:
    """Make a record of a history."""
    name = {"exam.start": "duration", "exam.finish": "status", "exam.expire": "deadline"}[type_name]
    return {"entry": entry, "command": entry, "type": type_name, name: value, "verdict": verdict}


STARTED = record("exam.start", 5, START, "applied")
PASSED = record("exam.finish", "pass", IN_TIME, "applied")
EXPIRED = record("exam.expire", "2026-11-24T00:00:05.000Z", LATE, "applied")
UNASKED = record("exam.finish", "fail", LATE, "refused")
LEDGER = [sent("exam.start", 5, START), sent("exam.finish", "pass", IN_TIME)]


def evidence(status: str, *history: dict[str, Any], **more: Any) -> Evidence:
    """What a run left that had one exam."""
    document = {"status": status, "deadline": "2026-11-24T00:00:05.000Z", "history": list(history)}
    counts = {"started": 1, status: 1}
    return Evidence(documents={"a": document}, **{"counts": counts, **more})


def rules(ledger: list[Sent], found: Evidence) -> set[str]:
    """Which rules were broken."""
    return {violation.rule for violation in judge(ledger, found)}


def test_a_good_run() -> None:
    """What was sent is there, once and right: nothing to say."""
    assert set() == rules(LEDGER, evidence("pass", STARTED, PASSED))
    later = f"{BEGAN + 5_002}-0"
    late = [LEDGER[0], sent("exam.finish", "pass", later)]
    refused = record("exam.finish", "pass", later, "refused")
    assert set() == rules(late, evidence("absent", STARTED, EXPIRED, refused))


def test_fate_unknown() -> None:
    """A command whose answer was lost may be there or not."""
    unknown = [LEDGER[0], sent("exam.finish", "pass", None)]

    assert set() == rules(unknown, evidence("absent", STARTED, EXPIRED))
    assert set() == rules(unknown, evidence("pass", STARTED, PASSED))


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("lost", evidence("absent", STARTED, EXPIRED)),
        ("lost", evidence("pass", STARTED, PASSED, counts={"started": 1})),
        ("lost", Evidence()),
        ("twice", evidence("pass", STARTED, PASSED, PASSED)),
        ("twice", evidence("pass", STARTED, PASSED, counts={"started": 1, "pass": 2})),
        ("twice", evidence("pass", STARTED, STARTED | {"entry": f"{BEGAN}-1"}, PASSED)),
        ("false absent", evidence("absent", STARTED, EXPIRED, PASSED | {"verdict": "refused"})),
        ("false absent", evidence("pass", STARTED, EXPIRED, PASSED | {"verdict": "corrected"})),
        ("false absent", evidence("pass", STARTED, PASSED, absent_at_ms={"a": BEGAN + 5_001})),
        ("corrected", evidence("pass", STARTED, EXPIRED, PASSED | {"verdict": "corrected"})),
        ("wrong end", evidence("fail", STARTED, PASSED)),
        ("wrong end", evidence("started", STARTED, PASSED)),
        ("altered", evidence("fail", STARTED, PASSED | {"status": "fail"})),
        ("buried", evidence("pass", STARTED, PASSED, dead={IN_TIME: ["failed 5 times"]})),
        ("unasked", evidence("pass", STARTED, PASSED, UNASKED)),
        ("damaged", evidence("pass", STARTED, PASSED, damaged=["a.json"])),
        ("damaged", evidence("pass", STARTED, {})),
        ("not at its end", evidence("pass", STARTED, PASSED, left=["2 entries pending"])),
    ],
)
def test_a_broken_promise(rule: str, found: Evidence) -> None:
    """Each way to break the promise is seen."""
    assert rule in rules(LEDGER, found)


@pytest.mark.parametrize(
    "found",
    [
        evidence("absent", STARTED, EXPIRED | {"entry": IN_TIME}),
        evidence("absent", STARTED, EXPIRED, absent_at_ms={"a": BEGAN + 5_000}),
    ],
)
def test_early(found: Evidence) -> None:
    """An `absent` of the deadline's own millisecond is early."""
    assert "early" in rules(LEDGER[:1], found)


def test_denied() -> None:
    """A result for an exam that was started must not be turned away."""
    assert {"denied"} == rules(
        [*LEDGER, sent("exam.finish", "pass", None, denied="404")],
        evidence("pass", STARTED, PASSED),
    )


def test_unasked_exam() -> None:
    """A file that nobody asked for is seen."""
    assert "unasked" in rules([], evidence("started", STARTED, counts={"started": 1}))


@pytest.mark.parametrize(("times", "dead", "rule"), [(0, {}, "lost"), (2, {}, "twice")])
def test_echo(times: int, dead: dict[str, list[str]], rule: str) -> None:
    """An echo is printed once, or buried with a reason."""
    ledger = [sent("echo", "hi", START, pk=None)]

    assert {rule} == rules(ledger, Evidence(printed=Counter({START: times}), dead=dead))
    assert set() == rules(ledger, Evidence(printed=Counter({START: 1})))
    assert set() == rules(ledger, Evidence(dead={START: ["uncertain"]}))


def test_garbage() -> None:
    """What is no command lies among the dead letters, once."""
    ledger = [sent("garbage", "", START, pk=None)]

    assert {"lost"} == rules(ledger, Evidence())
    assert {"twice"} == rules(ledger, Evidence(dead={START: ["bad", "bad"]}))
    assert set() == rules(ledger, Evidence(dead={START: ["bad"]}))


def test_lateness() -> None:
    """How late an absent was is read from the log and the deadline."""
    found = evidence("absent", STARTED, EXPIRED, absent_at_ms={"a": BEGAN + 5_012})

    assert [12] == lateness_ms(found)


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([], "absent"),
        ([(5_000, "pass")], "pass"),
        ([(5_001, "pass")], "absent"),
        ([(4_000, "fail"), (3_000, "pass")], "pass"),
    ],
)
def test_oracle(results: list[tuple[int, str]], status: str) -> None:
    """The second opinion: the earliest result in time, or absent."""
    start = Came(entry=START, type="exam.start", value=5)
    later = Came(entry=f"{BEGAN + 1}-0", type="exam.start", value=600)
    came = [Came(entry=f"{BEGAN + ms}-0", type="exam.finish", value=value) for ms, value in results]

    assert Expected(status, BEGAN + 5_000) == expected([*came, later, start])
    assert expected(came) is None


def test_plan() -> None:
    """The seed decides the whole plan, and every kind of script is in it."""
    scripts = [plan.exam(1, number) for number in range(300)]

    assert scripts == [plan.exam(1, number) for number in range(300)]
    assert scripts != [plan.exam(2, number) for number in range(300)]
    commands = [step for script in scripts for step in script.steps]
    assert {"exam.start", "exam.finish", "exam.expire"} == {step.type for step in commands}
    assert abs(len(commands) / len(scripts) - plan.COMMANDS_PER_EXAM) < 0.2
    assert plan.echo(1, 5) == plan.echo(1, 5)
    assert {json.dumps(plan.garbage(1, n)) for n in range(300)} == set(
        map(json.dumps, plan.GARBAGE)
    )


def test_ledger(tmp_path: Path) -> None:
    """What was acknowledged is on the disk, after what was sent."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    one = ledger.send("http", "exam.start", pk="a", value=5)
    ledger.acknowledge(one, entry=START, command_id="c")
    ledger.deny(ledger.send("http", "exam.finish", pk="b", value="pass"), "404")
    ledger.close()

    lines = list(map(json.loads, (tmp_path / "ledger.jsonl").read_text().splitlines()))
    assert ["a", "a", "b", "b"] == [line["pk"] for line in lines]
    assert [None, START, None, None] == [line.get("entry") for line in lines]
    assert 1 == ledger.acknowledged
