"""The whole system, as its users use it: HTTP in, files out, one stack for all tests here."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.stack import Stack
from support.waiting import wait_until

from filestore.document import from_iso
from ops import keys, trace

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = TRACEPARENT.split("-")[1]


@pytest.fixture(autouse=True)
def nothing_left(stack: Stack) -> Iterator[None]:
    """After each test no entry is pending, no inbox is left, and no temporary file."""
    yield

    def is_settled() -> bool:
        client = stack.redis()
        is_open = client.xpending(keys.COMMANDS, keys.GROUP)["pending"]
        return not is_open and not list(client.scan_iter(keys.inbox("*")))

    wait_until(is_settled, saying="every entry is acknowledged")
    assert [] == list((stack.settings.exams / ".tmp").iterdir())


@pytest.mark.parametrize("change", ["truncated", "another exam's"])
def test_damaged_file(stack: Stack, change: str) -> None:
    """Who asks for an exam whose file was damaged gets it a moment later, and can pass."""
    pk = f"spoilt-{change[:3]}"
    stack.post("/exams", {"pk": pk, "duration": 60})
    [path] = wait_until(lambda: list(stack.settings.exams.glob(f"*/{pk}.json")), saying="file")
    text = path.read_bytes()
    spoilt = text[:40] if change == "truncated" else text.replace(pk.encode(), b"somebody", 1)
    path.write_bytes(spoilt)

    answer = stack.get(f"/exams/{pk}")
    assert (500, "urn:invigil:problem:damaged-exam") == (answer.status, answer.body["type"])
    stack.post(f"/exams/{pk}/result", {"status": "pass"})

    wait_until(lambda: stack.lines("exam_rebuilt", pk=pk), saying="it is made anew")
    wait_until(lambda: stack.has_status(pk, "pass"), saying="passed")
    assert json.loads(text)["started_at"] == stack.get(f"/exams/{pk}").body["started_at"]
    assert [spoilt] == [one.read_bytes() for one in path.parents[1].glob(f".damaged/{pk}.*")]
    assert 1 == len(stack.lines("exam_damaged", pk=pk)) == len(stack.lines("exam_rebuilt", pk=pk))


def verdicts(stack: Stack, pk: str) -> list[tuple[Any, ...]]:
    """List type, verdict and reason of an exam's history."""
    return [(h["type"], h["verdict"], h.get("reason")) for h in stack.document(pk)["history"]]


def test_started_on_disk(stack: Stack) -> None:
    """A start is on disk, with a deadline its duration later."""
    answer = stack.post("/exams", {"pk": "disk-1", "duration": 60})

    wait_until(lambda: stack.has_status("disk-1", "started"), saying="started on disk")

    document = stack.document("disk-1")
    assert 60_000 == from_iso(document["deadline"]) - from_iso(document["started_at"])
    assert (202, "/exams/disk-1") == (answer.status, answer.headers["Location"])
    stack.post("/exams/disk-1/result", {"status": "pass"})


@pytest.mark.parametrize("status", ["pass", "fail"])
def test_result_in_time(stack: Stack, status: str) -> None:
    """A result in time decides the exam, and no key in Redis holds its pk any more."""
    pk = f"intime-{status}"
    stack.post("/exams", {"pk": pk, "duration": 60})
    stack.post(f"/exams/{pk}/result", {"status": status})

    wait_until(lambda: stack.has_status(pk, status), saying="the result is on disk")

    assert status == stack.get(f"/exams/{pk}").body["status"]
    client = stack.redis()
    wait_until(lambda: client.zscore(keys.DEADLINES, pk) is None, saying="no deadline")
    assert [] == [key for key in client.scan_iter() if pk.encode() in key]


def test_absent(stack: Stack) -> None:
    """An exam left alone is absent within half a second of its deadline, never before."""
    stack.post("/exams", {"pk": "alone", "duration": 2})

    wait_until(lambda: stack.has_status("alone", "absent"), saying="absent")

    seen_ms = time.time() * 1000
    document = stack.document("alone")
    deadline_ms = from_iso(document["deadline"])
    assert deadline_ms < from_iso(document["decided_at"])
    assert deadline_ms < seen_ms < deadline_ms + 500


def test_late(stack: Stack) -> None:
    """A result after the deadline is refused as late, and stands in the history."""
    stack.post("/exams", {"pk": "late", "duration": 1})
    wait_until(lambda: stack.has_status("late", "absent"), saying="absent")

    assert 202 == stack.post("/exams/late/result", {"status": "pass"}).status

    wait_until(lambda: len(verdicts(stack, "late")) == 3, saying="the late result is recorded")
    assert ("exam.finish", "refused", "late") == verdicts(stack, "late")[-1]
    assert "absent" == stack.document("late")["status"]


def test_two_starts(stack: Stack) -> None:
    """Two starts of one exam make one deadline: the first one's."""
    stack.post("/exams", {"pk": "twice", "duration": 60})
    stack.post("/exams", {"pk": "twice", "duration": 600})

    wait_until(lambda: stack.document("twice") and len(verdicts(stack, "twice")) == 2, saying="two")
    document = stack.document("twice")
    assert ("exam.start", "refused", "already started") == verdicts(stack, "twice")[1]
    wait_until(stack.is_done, saying="the books are kept")
    deadline_ms = from_iso(document["started_at"]) + 60_000
    assert deadline_ms == stack.redis().zscore(keys.DEADLINES, "twice")
    stack.post("/exams/twice/result", {"status": "fail"})


def test_start_and_result_at_once(stack: Stack) -> None:
    """A result sent right behind its start is never answered "unknown exam"."""
    for number in range(20):
        pk = f"quick-{number}"
        assert 202 == stack.post("/exams", {"pk": pk}).status
        assert 202 == stack.post(f"/exams/{pk}/result", {"status": "pass"}).status
        wait_until(partial(stack.has_status, pk, "pass"), saying="pass")


def test_unknown_exam(stack: Stack) -> None:
    """A result for an exam that nobody started is answered 404."""
    answer = stack.post("/exams/nobody/result", {"status": "pass"})

    assert (404, "application/problem+json") == (answer.status, answer.headers["Content-Type"])


def test_echo(stack: Stack) -> None:
    """An echo answers at once, and prints its text once, after its delay."""
    before = time.monotonic()
    answer = stack.post("/echo", {"text": "hello \x1b[31m\nworld", "delay": 2})
    early = stack.lines("echo_printed", command_id=answer.body["command_id"])

    printed = wait_until(
        lambda: stack.lines("echo_printed", command_id=answer.body["command_id"]), saying="printed"
    )
    assert time.monotonic() - before > 2
    assert (202, []) == (answer.status, early)
    assert "hello \x1b[31m\nworld" == printed[0]["text"]
    shown = [line for line in stack.lines("output") if "hello" in line["text"]]
    assert [r"echo: hello \x1b[31m\nworld"] == [line["text"] for line in shown]


def test_many_echoes(stack: Stack) -> None:
    """Hundreds of echoes sleep side by side: the worker's pool grows as fast as they come."""
    result = stack.invigil("send", "echo", "--text", "many", "--delay", "6", "--count", "300")
    assert 0 == result.returncode, result.stderr

    def printed() -> list[dict[str, Any]]:
        found = stack.lines("echo_printed", text="many")
        return found if len(found) == 300 else []

    ends = wait_until(printed, timeout_s=60, saying="300 echoes printed")
    entries = {line["entry"] for line in ends}
    began = [line["ts"] for line in stack.lines("echo_started") if line["entry"] in entries]
    ended = [line["ts"] for line in ends]
    asleep = [sum(b <= at for b in began) - sum(e < at for e in ended) for at in began]
    assert max(asleep) > 150  # Celery's own autoscaler adds one a second to the 50 of the start


def test_plain_xadd(stack: Stack) -> None:
    """A plain XADD of type and data is a complete producer."""
    client = stack.redis()
    client.xadd("invigil:commands", {"type": "exam.start", "data": '{"pk":"direct","duration":60}'})
    data = '{"pk":"direct","status":"fail"}'
    client.xadd("invigil:commands", {"type": "exam.finish", "data": data})

    wait_until(lambda: stack.has_status("direct", "fail"), saying="fail")


def test_send(stack: Stack) -> None:
    """`invigil send` is an equal door, and prints the entry's id."""
    sent = stack.invigil("send", "exam.start", "--pk", "sent", "--duration", "60")
    stack.invigil("send", "exam.finish", "--pk", "sent", "--status", "pass")

    wait_until(lambda: stack.has_status("sent", "pass"), saying="pass")
    assert sent.stdout.strip() == stack.document("sent")["history"][0]["entry"]


def test_same_id_twice(stack: Stack) -> None:
    """One command that lies in the stream twice is applied once, and recorded as a duplicate."""
    for _ in range(2):
        stack.invigil("send", "exam.start", "--pk", "same", "--id", "c-1", "--source", "school")
    stack.invigil("send", "exam.finish", "--pk", "same", "--status", "pass")

    wait_until(lambda: stack.has_status("same", "pass"), saying="pass")
    assert ("exam.start", "duplicate", None) in verdicts(stack, "same")


def test_dead_letter(stack: Stack) -> None:
    """What is wrong on the stream becomes a dead letter with the words that HTTP answers."""
    bad = {"pk": "dead", "duration": 1.5}
    entry = stack.redis().xadd(keys.COMMANDS, {"type": "exam.start", "data": json.dumps(bad)})
    refused = stack.post("/exams", bad)

    found = wait_until(
        lambda: [f for _, f in stack.redis().xrange(keys.DEAD) if f[b"entry"] == entry],  # type: ignore[union-attr,index]
        saying="buried",
    )
    [error] = refused.body["errors"]
    assert f"{error['field']}: {error['message']}" == found[0][b"reason"].decode()  # type: ignore[index,union-attr]


def test_one_id_through_all_lines(stack: Stack) -> None:
    """One command's line at each door carries the same ids, and names the task and the trace."""
    answer = stack.post("/exams", {"pk": "traced", "duration": 60}, traceparent=TRACEPARENT)
    ids = answer.body
    wait_until(lambda: stack.has_deadline("traced"), saying="deadline set")

    lines = [line for line in stack.lines() if line.get("command_id") == ids["command_id"]]
    at = {line["event"]: line for line in lines}
    assert {"accepted", "dispatched", "applied"} == set(at)
    assert 3 == sum(not line.get("redelivered") for line in lines)  # a slow bell rings again
    assert {ids["entry"]} == {line["entry"] for line in lines}
    given_to = {line["task_id"] for line in lines if line["event"] == "dispatched"}
    assert at["applied"]["task_id"] in given_to
    assert {TRACE_ID} == {line["trace_id"] for line in lines}
    assert TRACE_ID == answer.headers["traceparent"].split("-")[1]
    wait_until(
        lambda: stack.lines("task_ended", task_id=at["applied"]["task_id"]), saying="task ended"
    )
    stack.post("/exams/traced/result", {"status": "pass"})


@pytest.mark.parametrize("given", [TRACEPARENT, "00-nonsense", ""])
def test_trace_of_a_plain_xadd(stack: Stack, given: str) -> None:
    """A command pushed with a trace is found by it; without one, the entry gives one to all."""
    pk = f"pushed-{len(given)}"
    fields = {"type": "exam.start", "data": json.dumps({"pk": pk, "duration": 60})}
    client: Any = stack.redis()
    entry = client.xadd(keys.COMMANDS, fields | ({"traceparent": given} if given else {})).decode()
    wait_until(lambda: stack.lines("applied", pk=pk), saying="applied")

    lines = [line for line in stack.lines() if line.get("entry") == entry]
    assert {"dispatched", "applied"} == {line["event"] for line in lines}
    [trace_id] = {line["trace_id"] for line in lines}
    assert (given == TRACEPARENT) == (trace_id == TRACE_ID)
    stack.post(f"/exams/{pk}/result", {"status": "pass"})


def test_trace_of_an_expiry(stack: Stack) -> None:
    """An expiry, which nobody sent, has one trace in all of its lines: its entry's."""
    stack.post("/exams", {"pk": "unasked", "duration": 1}, traceparent=TRACEPARENT)
    [fired] = wait_until(lambda: stack.lines("deadline_fired", pk="unasked"), saying="fired")
    wait_until(lambda: stack.has_status("unasked", "absent"), saying="absent")

    def lines() -> list[dict[str, Any]]:
        found = [line for line in stack.lines() if line.get("entry") == fired["entry"]]
        return found if "applied" in {line["event"] for line in found} else []

    named = [line for line in wait_until(lines, saying="applied") if line != fired]
    assert {trace.derived(fired["entry"]).trace_id} == {line["trace_id"] for line in named}


def test_trace_of_an_echo(stack: Stack) -> None:
    """An echo's trace is in its lines, and in the line at the end of its task."""
    answer = stack.post("/echo", {"text": "traced", "delay": 0}, traceparent=TRACEPARENT)
    [printed] = wait_until(
        lambda: stack.lines("echo_printed", entry=answer.body["entry"]), saying="printed"
    )
    [ended] = wait_until(
        lambda: stack.lines("task_ended", task_id=printed["task_id"]), saying="task ended"
    )

    [started] = stack.lines("echo_started", entry=answer.body["entry"])
    assert [TRACE_ID] * 3 == [line["trace_id"] for line in (started, printed, ended)]
    assert ("tasks.slow.echo", "SUCCESS") == (ended["task"], ended["state"])


def test_log_files(stack: Stack) -> None:
    """Each part has a file of its own in the folder of logs, all of it JSON."""
    names = {"gateway", "dispatcher", "worker-exam", "worker-mail", "worker-slow", "beat", "up"}

    files = {path.stem: path for path in stack.settings.logs.glob("*.jsonl")}
    assert names <= set(files)
    for path in files.values():
        for line in path.read_text().splitlines():
            assert {"ts", "event", "part", "pid", "level"} <= json.loads(line).keys()


def test_output_is_json(stack: Stack) -> None:
    """Without a terminal every line of `up` is one JSON object with an event."""
    lines = stack.output.read_text().splitlines()[:-1]

    assert all("event" in json.loads(line) for line in lines)


def test_thousand_starts(stack: Stack) -> None:
    """A thousand starts sent at once all end, each exam's commands in the stream's order."""
    sent = stack.invigil("send", "exam.start", "--pk", "load", "--duration", "1", "--count", "1000")
    assert "1000 of 1000 sent" == sent.stdout.strip()

    def ended() -> int:
        paths = stack.settings.exams.glob("*/load-*.json")
        return sum('"status": "absent"' in path.read_text() for path in paths) == 1000

    wait_until(ended, timeout_s=60, saying="all are absent")
    for path in stack.settings.exams.glob("*/load-*.json"):
        history = json.loads(path.read_text())["history"]
        assert ["exam.start", "exam.expire"] == [record["type"] for record in history]


def test_ready(stack: Stack) -> None:
    """The gateway says that it lives, and that Redis answers and a dispatcher works."""
    assert 200 == stack.get("/livez").status
    assert 200 == stack.get("/readyz").status


def test_keys_have_reasons(stack: Stack) -> None:
    """Every key in Redis lives for a bounded time, or its name is one of a closed list."""
    named = {keys.COMMANDS, keys.DEAD, keys.EVENTS, keys.DEADLINES, keys.COUNTS, keys.TIMES}
    named.add(keys.DAMAGED)  # both go with what they tell of
    named.add(keys.METRICS)  # of few fields: no label is a client's
    client = stack.redis()

    without = {key.decode() for key in client.scan_iter() if client.ttl(key) == -1}
    ours = {key for key in without if not key.startswith("invigil:celery:")}
    assert ours <= named
    # Celery's own: what binds queues to exchanges, messages under way, and bells that wait.
    queues = {keys.CELERY + name for name in (keys.QUEUE_EXAM, keys.QUEUE_MAIL, keys.QUEUE_SLOW)}
    celery = without - ours - queues
    assert all("_kombu." in key or "unacked" in key for key in celery)


@pytest.mark.parametrize(
    "typed", ["-Q exam --autoscale 4,1", "-Q mail -P gevent", "-Q slow -P gevent -c 5"]
)
def test_worker_by_hand(stack: Stack, tmp_path: Path, typed: str) -> None:
    """A worker works as Celery's users type it, and its log is named after its queue."""
    script = Path(sys.executable).with_name("celery")
    command = [str(script), "-A", "tasks", "worker", *typed.split()]
    log = stack.settings.logs / f"worker-{typed.split()[1]}.jsonl"
    size = log.stat().st_size
    env = {k: v for k, v in stack.env.items() if k != "INVIGIL_PART"}

    process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: b"part_ready" in log.read_bytes()[size:], saying="worker ready")
    finally:
        process.terminate()
        assert 0 == process.wait(30)
