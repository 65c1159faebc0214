"""Answers get lost between Redis and those who asked, after Redis has done what was asked."""

from pathlib import Path

import pytest
from support.breakable import Breakable
from support.cutting_proxy import cutting
from support.invariants import Witness
from support.stack import running
from support.users import known
from support.waiting import wait_until

#: Exams that are started and decided.
EXAMS = 24
#: What is in the gateway's request, as it goes over the wire.
ADD = (b"EVAL\r\n", b"$1\r\n1\r\n$16\r\ninvigil:commands\r\n")


def test_lost_answer_of_a_command(breakable: Breakable, tmp_path: Path) -> None:
    """The gateway sends a command again whose answer was lost; it is applied once."""
    socket, logins = breakable.folder / "redis.sock", known(breakable.url)
    with (
        cutting(socket, marks=ADD, every=3) as proxy,
        running(tmp_path, redis_url=proxy.url, redis_users=logins, mail_every=3600) as stack,
    ):
        witness = Witness(stack)
        for number in range(EXAMS):
            assert 202 == witness.start(f"cut-{number}").status
        for number in range(EXAMS):
            assert 202 == witness.result(f"cut-{number}").status
        witness.check()

        assert 2 * EXAMS == len(witness.acknowledged)
        assert proxy.cuts >= 2 * EXAMS // 3
        history = [h for n in range(EXAMS) for h in stack.document(f"cut-{n}")["history"]]
        verdicts = [record["verdict"] for record in history]
        assert 2 * EXAMS == verdicts.count("applied")
        assert proxy.cuts == verdicts.count("duplicate")


@pytest.mark.parametrize(
    ("marks", "every"),
    [
        ((b"EVALSHA", b"XACK"), 2),
        ((b"EVALSHA", b"invigil:lease:dispatcher", b"invigil:inbox:"), 2),
        ((b"EVALSHA", b"invigil:attempts:"), 6),  # each one costs its exam the wait for a bell
    ],
    ids=["settle", "place", "look"],
)
def test_lost_answer_inside(
    breakable: Breakable, tmp_path: Path, marks: tuple[bytes, ...], every: int
) -> None:
    """An answer lost to a worker that looks or settles, or to the dispatcher, mends by itself."""
    socket, logins = breakable.folder / "redis.sock", known(breakable.url)
    with (
        cutting(socket, marks=marks, every=every) as proxy,
        running(tmp_path, redis_url=proxy.url, redis_users=logins, mail_every=3600) as stack,
    ):
        witness = Witness(stack)
        for number in range(EXAMS):
            witness.start(f"in-{number}", duration=3 if number % 2 else 600)
        wait_until(lambda: proxy.cuts > 0, saying="an answer was lost")
        for number in range(0, EXAMS, 2):
            witness.result(f"in-{number}")

        for number in range(EXAMS):
            status = "absent" if number % 2 else "pass"
            pk = f"in-{number}"
            wait_until(lambda pk=pk, s=status: stack.has_status(pk, s), saying=pk)  # type: ignore[misc]
        witness.check()
