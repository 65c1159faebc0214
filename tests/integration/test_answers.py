"""Who waits for an answer gets it, who asks twice gets it twice, and who asks later is told."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from support.stack import Answer, Stack
from support.waiting import wait_until

WAIT = {"Prefer": "wait=20"}


def name(answer: Answer) -> str:
    """Last part of a problem's type."""
    return str(answer.body["type"]).removeprefix("urn:invigil:problem:")


def start(stack: Stack, pk: str, *, duration: int = 60, key: str | None = None) -> Answer:
    """Start an exam, and wait for what comes of it."""
    return stack.post("/exams", {"pk": pk, "duration": duration}, **WAIT, **keyed(key))


def finish(stack: Stack, pk: str, status: str = "pass", *, key: str | None = None) -> Answer:
    """Report a result, and wait for what comes of it."""
    return stack.post(f"/exams/{pk}/result", {"status": status}, **WAIT, **keyed(key))


def keyed(key: str | None) -> dict[str, str]:
    """Make the header, where there is a key."""
    return {"Idempotency-Key": key} if key else {}


def test_waited_start(stack: Stack) -> None:
    """Who waits for a start gets 201 and the exam as it lies on disk."""
    answer = start(stack, "w1")

    assert (201, "/exams/w1") == (answer.status, answer.headers["Location"])
    assert "wait=20" == answer.headers["Preference-Applied"]
    assert answer.body == stack.document("w1") == stack.get("/exams/w1").body


def test_waited_result(stack: Stack) -> None:
    """Who waits for a result gets 200 and the exam with it."""
    start(stack, "w2")

    answer = finish(stack, "w2", "fail")

    assert (200, "fail") == (answer.status, answer.body["status"])


def test_waited_refusals(stack: Stack) -> None:
    """Who waits is told of a refusal, by its reason, with the exam."""
    start(stack, "w3")
    finish(stack, "w3")
    start(stack, "w4", duration=1)
    wait_until(lambda: stack.has_status("w4", "absent"), saying="absent")

    answers = start(stack, "w3"), finish(stack, "w3"), finish(stack, "w4")

    assert [409] * 3 == [answer.status for answer in answers]
    assert ["already-started", "already-decided", "late"] == [name(one) for one in answers]
    assert ["pass", "pass", "absent"] == [one.body["exam"]["status"] for one in answers]


def test_no_wait_for_an_echo(stack: Stack) -> None:
    """An echo is answered at once whatever is preferred: its effect comes seconds later."""
    answer = stack.post("/echo", {"text": "hi", "delay": 0}, **WAIT)

    assert (202, None) == (answer.status, answer.headers.get("Preference-Applied"))


def test_key_again(stack: Stack) -> None:
    """The same key and body make one command, and get the same answer, also without a pk."""
    first = stack.post("/exams", {"duration": 60}, **keyed('"k1"'))
    again = stack.post("/exams", {"duration": 60}, **keyed("k1"))

    assert (202, first.body) == (again.status, again.body)
    wait_until(lambda: stack.document(first.body["pk"]), saying="started")
    assert 1 == len(stack.document(first.body["pk"])["history"])
    assert 1 == len(stack.lines("accepted", command_id=first.body["command_id"], part="gateway"))
    wait_until(
        lambda: stack.lines("answered_again", command_id=first.body["command_id"]),
        saying="its line",
    )


def test_key_again_with_a_wait(stack: Stack) -> None:
    """Who sends again may wait for the answer as well: it is that of the first command."""
    start(stack, "k2")
    first = finish(stack, "k2", key="k2")
    again = finish(stack, "k2", key="k2")

    assert (200, first.body) == (again.status, again.body)


@pytest.mark.parametrize("body", [{"pk": "k3", "duration": 61}, {"pk": "k4", "duration": 60}])
def test_key_reused(stack: Stack, body: dict[str, object]) -> None:
    """A key that stands for another command is refused, and nothing is taken."""
    start(stack, "k3", key="k3")

    answer = stack.post("/exams", body, **keyed("k3"))

    assert (422, "idempotency-key-reused") == (answer.status, name(answer))
    assert stack.document("k4") is None


def test_bad_key(stack: Stack) -> None:
    """A key that is none is refused."""
    answer = stack.post("/exams", {"pk": "k5"}, **keyed("a b"))

    assert (400, "bad-header") == (answer.status, name(answer))


def settled(stack: Stack, command_id: str) -> dict[str, str]:
    """Ask where a command stands until it is no longer on its way."""

    def said() -> dict[str, str]:
        body: dict[str, str] = stack.get(f"/commands/{command_id}").body
        return {} if body["state"] == "accepted" else body

    return wait_until(said, saying=f"{command_id} settled")


def test_where_a_command_stands(stack: Stack) -> None:
    """An exam's command is found by its id, or its entry's, with the task that handled it."""
    start(stack, "c1")
    taken = stack.post("/exams/c1/result", {"status": "pass"}).body

    said = settled(stack, taken["command_id"])

    (line,) = wait_until(
        lambda: stack.lines("applied", command_id=taken["command_id"]), saying="its line"
    )
    assert said == {
        "command_id": taken["command_id"],
        "pk": "c1",
        "entry": taken["entry"],
        "state": "applied",
        "task_id": line["task_id"],
    }
    assert said == stack.get(f"/commands/{taken['entry']}").body


def test_where_a_refused_command_stands(stack: Stack) -> None:
    """A refused one has its reason."""
    start(stack, "c2")
    refused = start(stack, "c2").body

    said = settled(stack, refused["command_id"])

    assert ("refused", "already started") == (said["state"], said["reason"])


def test_where_an_echo_stands(stack: Stack) -> None:
    """An echo is accepted until it has been printed."""
    taken = stack.post("/echo", {"text": "where", "delay": 1}).body
    where = f"/commands/{taken['command_id']}"

    assert "accepted" == stack.get(where).body["state"]
    wait_until(lambda: stack.get(where).body["state"] == "applied", saying="printed")
    (line,) = wait_until(
        lambda: stack.lines("echo_printed", command_id=taken["command_id"]), saying="its line"
    )
    assert line["task_id"] == stack.get(f"/commands/{taken['entry']}").body["task_id"]


@pytest.mark.parametrize(
    "unknown",
    [
        "x",
        "018f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "c1.018f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "1-1",
        "99999999999999999999-1",
        "..%2F..%2Fetc%2Fpasswd.018f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "%00",
        "%F0%9F%92%A9",
    ],
)
def test_unknown_command(stack: Stack, unknown: str) -> None:
    """What is not known is said to be so, whatever it looks like."""
    answer = stack.get(f"/commands/{unknown}")

    assert (404, "unknown-command") == (answer.status, name(answer))


def test_hundred_at_once(stack: Stack) -> None:
    """A hundred requests with one key at once make one command, and have one answer."""
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: start(stack, "k6", key="k6"), range(100)))

    assert {201} == {answer.status for answer in answers}
    assert 1 == len({answer.body["started_at"] for answer in answers})
    assert 1 == len(stack.document("k6")["history"])
