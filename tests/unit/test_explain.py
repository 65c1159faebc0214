"""The story of an exam, a command or a task, told from its log lines."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from filestore.exam import Standing, stand
from filestore.fact import Fact
from ops.audit import story
from ops.audit.explain import MOST_LINES, MOST_RELATED, Search
from ops.audit.telling import LISTED, tell
from ops.audit.wording import SHOWN, clock, lead, span

#: 2026-11-24 08:00:00 UTC, in milliseconds.
T0 = 1_795_507_200_000
DEADLINE = T0 + 120_000
S1, F1, X1 = f"{T0}-0", f"{T0 + 70_000}-0", f"{DEADLINE + 2}-0"

Lines = list[dict[str, Any]]


def line(after_ms: int, event: str, part: str = "worker-exam", **values: Any) -> dict[str, Any]:
    """A line, written so long after 08:00:00."""
    ts = clock(T0 + after_ms, on_ms=0).replace(" ", "T") + "Z"
    return {"ts": ts, "event": event, "part": part, "pid": 4711, "level": "info", **values}


def verdict(  # noqa: PLR0917 - its calls read like sentences
    after_ms: int,
    what: str,
    kind: str,
    entry: str,
    value: object,
    reason: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A worker's line about a command of math-7 that came in at the time in its entry's id."""
    at_ms = int(entry.partition("-")[0])
    ids = {"pk": "math-7", "command_id": entry, "entry": entry, "type": f"exam.{kind}"}
    known = {"at_ms": at_ms, "value": value, "source": None, "redelivered": False, "task_id": "t-1"}
    return line(after_ms, what, **{**ids, "verdict": what, "reason": reason, **known, **more})


STARTED = verdict(5, "applied", "start", S1, 120)
FIRED = line(
    120_002,
    "deadline_fired",
    "dispatcher",
    pk="math-7",
    entry=X1,
    deadline_ms=DEADLINE,
    late_ms=2,
)
ABSENT = verdict(120_004, "applied", "expire", X1, DEADLINE)
OF_START: dict[str, Any] = {"entry": S1, "command_id": S1, "type": "exam.start", "pk": "math-7"}


def explain(asked: str, lines: Iterable[dict[str, Any]]) -> list[str]:
    """What is told of *asked*, as the command line would have it."""
    return tell(search(asked, lines))


def search(asked: str, lines: Iterable[dict[str, Any]]) -> Search:
    """A search that has gone through *lines* as often as it wanted."""
    made = Search(asked)
    raws = [json.dumps(one).encode() for one in lines]
    while True:
        for number, raw in enumerate(raws, 1):
            if made.is_wanted(raw):
                made.feed(json.loads(raw), f"a.jsonl:{number}")
        if not made.goes_on():
            return made


def sentences(told: Iterable[str]) -> list[str]:
    """The sentences, without headings, ids and times."""
    return [one[14:] for one in told if one[2:3] == ":"]


def test_many_in_one_line() -> None:
    """A line about many commands tells of each what a line of its own would."""
    ids = {"pks": ["a", "math-7"], "command_ids": ["a.1", "math-7.2"], "entries": ["1-0", S1]}
    many = line(1, "bulk_accepted", "gateway", type="exam.start", **ids)
    own = {**STARTED, "command_id": "math-7.2"}
    one = line(
        1, "accepted", "gateway", type="exam.start", pk="math-7", command_id="math-7.2", entry=S1
    )

    for asked in ("math-7", "math-7.2", S1):
        assert explain(asked, [many, own]) == explain(asked, [one, own])
    assert any("over HTTP" in said for said in explain("math-7", [many, own]))
    assert explain("a", [many]) != explain("b", [many])


@pytest.mark.parametrize(
    "lists",
    [
        {},
        {"pks": "ab", "command_ids": ["a"], "entries": ["1-0"]},
        {"pks": [["math-7"]], "command_ids": [{}], "entries": [7]},
        {"pks": ["math-7"], "command_ids": [], "entries": None},
    ],
)
def test_odd_lists(lists: dict[str, Any]) -> None:
    """Lists that nobody of us wrote tell nothing, and stop nothing."""
    assert explain("math-7", [line(0, "bulk_accepted", **lists), STARTED])


def test_corrected() -> None:
    """The whole story of an exam that was absent for a while, word for word."""
    accepted = line(1, "accepted", "gateway", **OF_START)
    result = verdict(313_120, "corrected", "finish", F1, "pass")

    told = explain("math-7", [accepted, STARTED, FIRED, ABSENT, result])

    assert told == [
        "Exam math-7: pass. It was absent for 3 minutes 13 s and was corrected.",
        "",
        "2026-11-24 (UTC)",
        "08:00:00.005  The exam was started over HTTP at 08:00:00.000: 120 seconds, so a result "
        "counts until 08:02:00.000 (and in that very millisecond).",
        f"              command {S1}, entry {S1}, applied by worker-exam 4711 in task t-1, "
        "a.jsonl:2",
        "08:02:00.004  The time was over and no result had been applied. The exam became absent.",
        f"              command {X1}, entry {X1}, deadline fired 2 ms late by dispatcher 4711, "
        "applied by worker-exam 4711 in task t-1, a.jsonl:4",
        "08:05:13.120  The result pass was applied. It had come in directly on the stream at "
        "08:01:10.000, 50.0 s before the deadline. A result that came in time counts, however late "
        "it is processed: absent was corrected to pass.",
        f"              command {F1}, entry {F1}, corrected by worker-exam 4711 in task t-1, "
        "a.jsonl:5",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (verdict(9_000, "refused", "start", f"{T0 + 9}-0", 60, "already started"), "second start"),
        (verdict(9, "duplicate", "start", f"{T0 + 9}-0", 120), "The same start came again"),
        (verdict(70_001, "applied", "finish", F1, "fail"), "The result fail was applied"),
        (verdict(71_000, "duplicate", "finish", F1, "fail"), "The same result fail came again"),
        (
            verdict(130_000, "refused", "finish", f"{DEADLINE + 1500}-0", "pass", "late"),
            "refused as late: it had come in directly on the stream at 08:02:01.500, 1.5 s after "
            "the deadline. What comes in after the deadline never counts",
        ),
        (
            verdict(71_000, "refused", "finish", F1, "fail", "already decided"),
            "The result that came in first counts",
        ),
        (
            verdict(71_000, "refused", "finish", F1, "fail", "same id, other content"),
            "One id stands for one command",
        ),
        (verdict(9, "refused", "expire", f"{T0 + 9}-0", DEADLINE, "not due"), "Only the deadline"),
        (
            verdict(9, "refused", "expire", f"{T0 + 9}-0", T0, "other deadline"),
            "a deadline that is not this exam's",
        ),
        (
            verdict(120_009, "refused", "expire", X1, DEADLINE, "already decided"),
            "had been decided by then",
        ),
        (verdict(130_000, "applied", "expire", X1, DEADLINE), "absent, 10.0 s after the deadline."),
        (line(9, "waiting", pk="math-7", entry=F1, type="exam.finish"), "waits for it"),
        (FIRED, "No line says what was found"),
        (line(9, "deadline_restored", pk="math-7", deadline_ms=DEADLINE), "Redis had lost"),
        (line(9, "exam_damaged", pk="math-7", error="not JSON"), "could not be read (not JSON)"),
        (
            line(9, "exam_rebuilt", pk="math-7", status="pass", deadline_ms=DEADLINE),
            "made anew from the commands: pass, with the deadline 08:02:00.000",
        ),
        (line(9, "exam_not_rebuilt", pk="math-7", reason="no start"), "People must decide"),
        (line(9, "failed", pk="math-7", exception="Trace\nKeyError: 7"), "wrong (KeyError: 7)"),
        (line(9, "unavailable", pk="math-7", what="lock", error="held"), "The lock was not to be"),
        (line(9, "foreign_dropped", pk="math-7", field="x"), "no part of Invigil wrote"),
        (
            line(9, "replayed", "dead", pk="math-7", by="anna", why="a fix", reason="no", at_ms=T0),
            "anna put it back (a fix). It had been set aside: no. It is judged by the time at "
            "which it first came in, 08:00:00.000.",
        ),
        (
            line(9, "discarded", "dead", pk="math-7", by="anna", why="a typo", reason="no"),
            "anna gave it up (a typo)",
        ),
        (line(9, "dispatched", pk="math-7", entry=F1, type="exam.finish"), "given to a worker 1 t"),
        (line(9, "accepted", pk="math-7", entry=F1, type="exam.finish"), "was given to a worker."),
    ],
)
def test_each_rule_has_its_sentence(given: dict[str, Any], said: str) -> None:
    """What happens to an exam is told with the rule that decided it."""
    told = sentences(explain("math-7", [STARTED, given]))

    assert len(told) == 2
    assert said in told[1]


@pytest.mark.parametrize("what", ["applied", "corrected"])
@pytest.mark.parametrize("kind", ["start", "finish", "expire"])
def test_no_start_in_the_log(kind: str, what: str) -> None:
    """A log that begins in the middle is told as far as it goes."""
    value = {"start": 120, "finish": "pass", "expire": DEADLINE}[kind]

    told = explain("math-7", [verdict(130_000, what, kind, X1, value)])

    status = {"start": "started", "finish": "pass", "expire": "absent"}[kind]
    assert told[0].startswith(f"Exam math-7: {status}.")


def test_earlier_result_corrects() -> None:
    """A result that surfaced after a later one is explained by the order of arrival."""
    later = verdict(80_000, "applied", "finish", f"{T0 + 75_000}-0", "fail")
    earlier = verdict(90_000, "corrected", "finish", F1, "pass")

    told = explain("math-7", [STARTED, later, earlier])

    assert (
        "came in first counts, however late it is processed: fail was corrected to pass"
        in (sentences(told)[-1])
    )


def test_earlier_start_corrects() -> None:
    """A start that surfaced late moves the deadline; what the other one decided is undone."""
    earlier = verdict(130_000, "corrected", "start", f"{T0 - 60_000}-0", 200)
    absent = verdict(141_000, "corrected", "expire", f"{T0 + 140_001}-0", T0 + 140_000)

    told = explain("math-7", [STARTED, ABSENT, earlier, absent])

    assert told[0].startswith("Exam math-7: absent. It was absent for 10.0 s and was corrected.")
    assert sentences(told)[2:] == [
        "A start that had come in earlier, at 07:59:00.000, surfaced only now. The start that came "
        "in first counts, so a result now counts until 08:02:20.000.",
        "The time of the start that counts was over, and no result counted: the exam is absent.",
    ]


def test_forged_expiry_twice() -> None:
    """The end of the time, said twice under one id, is told as the duplicate that it is."""
    again = verdict(130_000, "duplicate", "expire", f"{DEADLINE + 9}-0", DEADLINE, command_id=X1)

    assert "was noted a second time" in sentences(explain("math-7", [STARTED, ABSENT, again]))[2]


def test_unknown_verdict() -> None:
    """A reason that a later version may know is told as it is."""
    told = explain("math-7", [verdict(9, "refused", "start", S1, 1, "a full moon")])

    assert sentences(told) == ["A start was refused (a full moon)."]


def test_redelivered_is_told_once() -> None:
    """The same verdict again after a crash is one short sentence, however often it comes."""
    again = [{**STARTED, "redelivered": True, **line(ms, "applied")} for ms in (900, 950)]

    told = sentences(explain("math-7", [STARTED, *again]))

    assert len(told) == 2
    assert told[1].startswith(
        "The start was confirmed again after a crash or a lost connection, 2 times"
    )


def test_only_the_confirmation_was_written() -> None:
    """A worker that was killed before its line: the confirmation tells what happened."""
    told = sentences(explain("math-7", [{**STARTED, "redelivered": True}]))

    assert told[0].startswith("The exam was started")
    assert told[0].endswith("confirmed again after a crash: it was on the disk already.")


def test_repeated_lines_are_told_once() -> None:
    """A result that waits through many bells is told once."""
    waiting = [line(ms, "waiting", pk="math-7", entry=F1) for ms in range(5)]

    assert len(sentences(explain("math-7", waiting))) == 1


def test_burial_that_names_no_exam() -> None:
    """What the dispatcher set aside is found by its entry, and its type by the other lines."""
    accepted = line(1, "accepted", pk="math-7", entry=F1, type="exam.finish", command_id="c")
    buried = line(2, "buried", "dispatcher", entry=F1, reason="status: not one")

    told = explain("math-7", [buried, accepted])

    assert sentences(told) == ["A result was set aside for people to decide: status: not one."]


def test_absent_with_late_results() -> None:
    """The headline says that results came, but too late; a confirmation counts none twice."""
    late = verdict(130_000, "refused", "finish", f"{DEADLINE + 1}-0", "pass", "late")

    told = explain("math-7", [STARTED, ABSENT, late, {**late, "redelivered": True}])

    assert told[0] == "Exam math-7: absent. 1 result came in too late."


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([STARTED], "Exam math-7: started. No line says how it ended."),
        (
            [STARTED, ABSENT],
            "Exam math-7: absent. No line tells of a result that came in time.",
        ),
        (
            [STARTED, line(9, "exam_rebuilt", pk="math-7", status="fail")],
            "Exam math-7: fail.",
        ),
        (
            [line(9, "waiting", pk="math-7", entry=F1)],
            "Exam math-7: no line says that it was started.",
        ),
    ],
)
def test_headline(lines: Lines, said: str) -> None:
    """The first line says how the exam stands, or that no line tells it."""
    assert explain("math-7", lines)[0] == said


def test_order_of_time() -> None:
    """Lines of several files come in any order; the story is in the order of time."""
    told = explain("math-7", [ABSENT, FIRED, STARTED])

    assert [one[:12] for one in told if one[2:3] == ":"] == ["08:00:00.005", "08:02:00.004"]


def test_deadline_without_start() -> None:
    """Where the start's line is gone, another one tells the deadline."""
    late = verdict(119_000, "refused", "finish", f"{DEADLINE + 1500}-0", "pass", "late")

    assert "1.5 s after the deadline" in sentences(explain("math-7", [late, FIRED]))[0]


def test_days_have_headings() -> None:
    """A story that goes on the next day says so; moments of another day carry their date."""
    day_ms = 86_400_000
    told = explain("math-7", [STARTED, verdict(day_ms, "corrected", "finish", F1, "pass")])

    assert [one for one in told if one.endswith("(UTC)")] == [
        "2026-11-24 (UTC)",
        "2026-11-25 (UTC)",
    ]
    assert "at 2026-11-24 08:01:10.000" in told[-2]


def test_command() -> None:
    """A command's own steps, and what became of its exam."""
    result = verdict(70_001, "applied", "finish", F1, "pass", command_id="my-id")

    told = explain("my-id", [STARTED, result])

    assert told[:2] == ["Command my-id of exam math-7: applied.", "Exam math-7: pass."]
    assert len(sentences(told)) == 1


def test_command_that_was_put_back() -> None:
    """A command is followed through its burial to the entry under which it was put back."""
    new = f"{T0 + 200_000}-0"
    lines = [
        line(1, "accepted", "gateway", **OF_START),
        line(2, "buried", "dispatcher", entry=S1, reason="failed 5 times"),
        line(3, "replayed", "dead", **OF_START, letter="9-0", new_entry=new, by="eve", why="so"),
        verdict(200_001, "applied", "start", new, 120, command_id=S1, at_ms=T0),
    ]

    told = explain("9-0", lines)

    assert told[0] == "Command 9-0 of exam math-7: buried, applied."
    assert [one.split(" ")[0] for one in sentences(told)] == ["A", "eve", "The"]


def test_command_with_odd_id() -> None:
    """A producer's id may have quotes and letters that JSON escapes."""
    odd = 'the "first" - größer'
    lines = [STARTED, verdict(70_001, "applied", "finish", F1, "pass", command_id=odd)]

    assert search(odd, lines).kind == "command"
    assert any(json.dumps(odd, ensure_ascii=False).encode() == one for one in Search(odd).wanted)


def test_odd_id_among_many_names() -> None:
    """A name with a quote is found beside many others, in a line that names nothing else."""
    odd = 'the "first"'
    starts = [verdict(n, "duplicate", "start", f"{T0}-{n}", 1, command_id=odd) for n in range(9)]

    assert len(search(odd, [*starts, line(9, "failed", command_id=odd)]).found) == 10


def test_trace() -> None:
    """A trace's id leads to its command."""
    told = explain("ab" * 16, [STARTED, {**ABSENT, "trace_id": "ab" * 16}])

    assert told[0] == f"Command {'ab' * 16} of exam math-7: applied."


def test_echo() -> None:
    """An echo that was given out twice was printed once."""
    ids = {"entry": S1, "command_id": "e-1", "type": "echo"}
    lines = [
        line(1, "dispatched", "dispatcher", **ids, task_id="t-1"),
        line(2, "echo_started", "worker-slow", **ids, delay_s=20),
        line(5_000, "echo_skipped", "worker-slow", **ids, reason="at work elsewhere"),
        line(20_000, "echo_printed", "worker-slow", **ids, text="hello"),
    ]

    told = explain("e-1", lines)

    assert told[:2] == ["Command e-1: echo printed.", "Echo: printed."]
    assert sentences(told) == [
        "An echo came in directly on the stream.",
        "The echo began to wait for 20 s.",
        "The echo was given out again and left alone (at work elsewhere): a text is printed once.",
        "The text was printed: hello",
    ]


@pytest.mark.parametrize(
    ("what", "said"),
    [("duplicate", "it was not printed again"), ("refused", "One id stands for one command")],
)
def test_echo_again(what: str, said: str) -> None:
    """An echo that came again, or in another's name, is told with its rule."""
    told = explain("e-1", [line(9, what, entry=S1, command_id="e-1", type="echo")])

    assert said in sentences(told)[0]


def test_echo_that_was_put_back() -> None:
    """An echo is followed to the entry under which it was put back."""
    ids = {"command_id": "e-1", "type": "echo"}
    lines = [
        line(1, "buried", "worker-slow", **ids, entry=S1, reason="printing was cut short"),
        line(2, "replayed", "dead", **ids, entry=S1, letter="9-0", new_entry=F1, by="eve"),
        line(3, "echo_printed", "worker-slow", entry=F1, text="hello"),
    ]

    assert sentences(explain("9-0", lines))[-1] == "The text was printed: hello"


def test_command_of_two_exams() -> None:
    """One id in two exams is two commands; their steps are told in the order of time."""
    lines = [
        verdict(ms, "applied", "start", f"{T0}-{ms}", 60, pk=pk, command_id="same")
        for ms, pk in ((7, "math-1"), (9, "math-2"), (8, "math-3"))
    ]

    told = explain("same", lines)

    assert told[0] == "Command same of exam math-1: applied."
    assert [one[9:12] for one in told if one[2:3] == ":"] == ["007", "008", "009"]


def test_long_values_are_cut() -> None:
    """A value that fills pages is cut to what can be read."""
    told = explain("math-7", [verdict(9, "applied", "finish", F1, "x" * 10_000)])

    assert len(sentences(told)[0]) < 2 * SHOWN


def test_task() -> None:
    """What a task was given, what it did, what it left to another one, and how it ended."""
    other = f"{T0 + 3}-0"
    lines = [
        line(1, "dispatched", "dispatcher", **OF_START, task_id="t-1"),
        line(1, "dispatched", "dispatcher", **{**OF_START, "entry": other}, task_id="t-1"),
        STARTED,
        line(9, "task_ended", task_id="t-1", took_ms=7, state="SUCCESS"),
        verdict(50, "refused", "start", other, 60, "already started", task_id="t-2"),
    ]

    told = explain("t-1", lines)

    assert told[:2] == [
        "Task t-1: it was given 2 commands.",
        f"It did nothing with entry {other} of exam math-7; another task settled it: refused.",
    ]
    assert [one.partition(":")[0] for one in sentences(told)] == [
        "It was given 2 commands, of",
        "Exam math-7",
        "The task ended after 7 ms",
    ]


def test_task_with_many_commands() -> None:
    """A task that was given many commands names the first few, and counts the others."""
    given = [
        line(1, "dispatched", pk=f"math-{n}", entry=f"{T0}-{n}", task_id="t-1") for n in range(50)
    ]

    told = explain("t-1", given)

    assert f"math-{LISTED - 1} and {50 - LISTED} more." in sentences(told)[0]
    assert told[LISTED + 1] == f"It did nothing with {50 - LISTED} more commands either."


def test_task_that_never_ended() -> None:
    """A task without a last line was killed, or is at work."""
    told = explain("t-1", [line(1, "dispatched", "dispatcher", **OF_START, task_id="t-1")])

    assert "No line says that it ended" in told[0]
    assert told[1].endswith("no line says what became of it.")


def test_nothing_found() -> None:
    """What nobody knows is said, with what was looked for and in how many lines."""
    made = search("math\x1b8", [STARTED, ABSENT])

    assert not made.kind
    assert tell(made) == [
        r"Nothing is known of math\x1b8: no exam, command or task has this name in 2 lines."
    ]


def test_other_exams_stay_out() -> None:
    """Another exam's lines are not told, even if it shares the name of a command, or a task."""
    others = [
        verdict(8, "applied", "start", f"{T0 + 7}-0", 60, pk="math-8", command_id="math-7"),
        verdict(8, "applied", "start", f"{T0 + 8}-0", 60, pk="math-9"),
    ]

    assert len(sentences(explain("math-7", [STARTED, *others]))) == 1


def test_hostile_values() -> None:
    """Control characters are shown, wrong types are survived, and nothing is obeyed."""
    nasty = "\x1b[2J\u202e\n08:00:00.000  forged {came}"
    lines = [
        {**STARTED, "command_id": nasty, "at_ms": "soon", "value": {"a": [nasty]}, "pid": nasty},
        {**verdict(9, "applied", "finish", F1, nasty, at_ms=10**30), "entry": nasty},
        {**verdict(9, nasty, "finish", F1, None), "type": ["x"], "ts": "9999-12-31T23:59:59Z"},
        {**STARTED, "ts": 7},
    ]

    told = explain("math-7", lines)

    assert all(one.isprintable() for one in told)
    assert any("forged {came}" in one for one in told)
    assert "1970-01-01 (UTC)" not in told


def test_many_lines_are_bounded() -> None:
    """However many lines an exam has, so many are kept; the rest is counted and said."""
    made = Search("math-7")
    for _ in range(MOST_LINES + 3):
        made.feed(ABSENT, "a.jsonl:1")

    assert len(made.found) == MOST_LINES
    assert tell(made)[-1].startswith("3 lines more are left out")


def test_names_are_bounded() -> None:
    """However many commands an exam has, so many names are searched for."""
    results = [
        verdict(n, "duplicate", "finish", f"{T0}-{n}", "pass") for n in range(MOST_RELATED + 9)
    ]

    assert len(search("math-7", results).wanted) <= MOST_RELATED + 1


def test_flood_of_corrections(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that somebody filled with corrections is judged so often, and then believed."""
    judged: list[int] = []

    def counted(facts: Iterable[Fact]) -> Standing | None:
        judged.append(1)
        return stand(facts)

    monkeypatch.setattr(story, "stand", counted)
    results = [
        verdict(n, "corrected", "finish", f"{T0}-{n}", ("pass", "fail")[n % 2])
        for n in range(1, 2 * story.MOST_MOVES)
    ]

    told = explain("math-7", [STARTED, *results])

    assert len(judged) == story.MOST_MOVES
    assert len(sentences(told)) == 2 * story.MOST_MOVES


def test_prefilter() -> None:
    """Lines are sorted out by their bytes; a longer name is not taken for the one asked for."""
    made = search("math-7", [verdict(9, "duplicate", "start", f"{T0 + n}-0", 1) for n in range(9)])

    assert made.is_wanted(b'{"event": "buried", "entry": "%d-0"}' % (T0 + 8))
    assert not made.is_wanted(b'{"pk": "math-77", "entry": "%d-0"}' % (T0 + 9))


def test_blocks_of_lines() -> None:
    """A whole block can be asked about first; its lines are counted once."""
    made = Search("math-7")
    block = json.dumps(STARTED).encode() + b"\n{}\n"

    assert made.is_wanted(block)
    assert [made.is_wanted(raw, is_counted=False) for raw in block.splitlines()] == [True, False]
    assert not made.is_wanted(b"{}\n" * 7)
    assert made.lines_seen == 9


def test_ids_are_dimmed() -> None:
    """On a terminal the lines with ids stand back."""
    told = tell(search("math-7", [STARTED]), is_dimmed=True)

    assert told[-1].startswith("\x1b[2m")
    assert told[-1].endswith("\x1b[0m")


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (4, "4 ms"),
        (50_240, "50.2 s"),
        (193_116, "3 minutes 13 s"),
        (7_500_000, "2 hours 5 minutes"),
        (3_600_000, "1 hour"),
        (90_000_000, "1 day 1 hour"),
    ],
)
def test_spans(ms: int, said: str) -> None:
    """A span is said as people say it."""
    assert span(ms) == said


def test_lead() -> None:
    """A moment's place is said by the deadline, its own millisecond included."""
    assert lead(DEADLINE, DEADLINE) == "in the very millisecond of the deadline"
    assert lead(DEADLINE + 1, DEADLINE) == "1 ms after the deadline"
