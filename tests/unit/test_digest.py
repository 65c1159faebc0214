"""The digest mail: what it counts and how it says it."""

from collections.abc import Mapping, Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from ops.audit import anchors
from ops.chain import Head
from tasks.digest import NAMED, Digest, make_digest, summary, write_mail

#: 2025-11-22 14:30:00 UTC, in seconds.
SLOT = 1_763_821_800


def digest(
    *,
    before: Mapping[str, int] | None = None,
    now: Mapping[str, int] | None = None,
    named: Sequence[tuple[str, str]] = (),
    since_s: int | None = SLOT - 300,
) -> Digest:
    """A digest of one slot."""
    return make_digest(
        slot_s=SLOT, since_s=since_s, before=before or {}, now=now or {}, named=named
    )


def mail(digest: Digest) -> EmailMessage:
    """The mail as its receiver gets it: written, sent, read."""
    written = write_mail(digest, sender="invigil@exams.test", receiver="head@school.test")
    return message_from_bytes(written.as_bytes(), policy=policy.default)


def body(digest: Digest, kind: str) -> str:
    """The mail's text, ``plain`` or ``html``."""
    part = mail(digest).get_body(preferencelist=(kind,))
    assert part is not None
    return str(part.get_content())


def test_counts_what_grew() -> None:
    """The digest counts what changed since the last mail, per status."""
    made = digest(
        before={"started": 10, "pass": 4}, now={"started": 13, "pass": 5, "fail": 1, "absent": 0}
    )

    assert summary(made) == "3 started, 1 passed, 1 failed, 0 absent"


def test_nothing_changed() -> None:
    """A quiet slot is a mail of zeros, not of errors."""
    made = digest(before={"pass": 4}, now={"pass": 4})

    assert summary(made) == "0 started, 0 passed, 0 failed, 0 absent"
    assert "0 passed" in body(made, "plain")


def test_redis_began_anew() -> None:
    """When the counters are smaller than at the last mail they began anew: all is counted."""
    made = digest(before={"started": 1000}, now={"started": 7})

    assert made.groups[0].count == 7


def test_first_mail_names_no_beginning() -> None:
    """The first mail ever counts everything and does not say since when."""
    text = body(digest(since_s=None, now={"pass": 2}), "plain")

    assert text.startswith("Exams, as of 2025-11-22 14:30:00 UTC\n")


def test_later_mail_says_since_when() -> None:
    """Every other mail says from when to when it counts."""
    text = body(digest(), "plain")

    assert text.startswith("Exams since 2025-11-22 14:25:00 UTC, as of 2025-11-22 14:30:00 UTC\n")


def test_names_stand_with_their_status() -> None:
    """Exams are named under the status they came to, oldest first."""
    made = digest(
        now={"pass": 2, "absent": 1},
        named=[("pass", "math-7"), ("absent", "bio-1"), ("pass", "math-9")],
    )

    for kind in ("plain", "html"):
        assert "math-7, math-9" in body(made, kind)
    assert [(), ("math-7", "math-9"), (), ("bio-1",)] == [group.pks for group in made.groups]


def test_more_than_can_be_named() -> None:
    """Of many exams the first are named and the rest is a number."""
    named = [("fail", f"exam-{number}") for number in range(NAMED + 50)]
    made = digest(now={"fail": NAMED + 1000}, named=named)

    assert (NAMED, 1000) == (len(made.groups[2].pks), made.groups[2].unnamed)
    assert "and 1000 more" in body(made, "plain")
    assert "and 1000 more" in body(made, "html")


def test_names_that_the_events_lost_are_a_number() -> None:
    """When the events no longer hold the names, the count is still right."""
    made = digest(now={"pass": 5}, named=[("pass", "math-7")])

    assert (5, 4) == (made.groups[1].count, made.groups[1].unnamed)


def test_more_names_than_changes() -> None:
    """More names than the counters say is no negative number of others."""
    made = digest(now={"pass": 1}, named=[("pass", "a"), ("pass", "b")])

    assert made.groups[1].unnamed == 0


def test_hostile_names_are_text() -> None:
    """A name that is HTML is shown, not obeyed; in the text part it stands as it is."""
    made = digest(now={"pass": 1}, named=[("pass", "<script>alert('x')</script>&amp;")])

    assert "<script>" not in body(made, "html")
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;" in body(made, "html")
    assert "<script>alert('x')</script>&amp;" in body(made, "plain")


def test_head_of_the_mail() -> None:
    """The head says it all in one line, and when and from whom to whom."""
    head = mail(digest(now={"started": 3}))

    assert head["Subject"] == "Invigil: 3 started, 0 passed, 0 failed, 0 absent"
    assert ("invigil@exams.test", "head@school.test") == (head["From"], head["To"])
    assert head["Date"] == "Sat, 22 Nov 2025 14:30:00 +0000"


def test_subject_is_one_line() -> None:
    """However large the numbers, the subject is one line of the head."""
    now = dict.fromkeys(("started", "pass", "fail", "absent"), 10**12)

    assert "\n" not in mail(digest(now=now))["Subject"]


def test_same_slot_is_the_same_mail() -> None:
    """A mail server that gets a slot's digest twice can see by its id that it is the same."""
    first, second = digest(now={"pass": 1}), digest(now={"pass": 2})

    assert mail(first)["Message-ID"] == f"<digest-{SLOT}@exams.test>"
    assert mail(first)["Message-ID"] == mail(second)["Message-ID"]


def test_unknown_status_is_ignored() -> None:
    """What somebody else counted or named in our keys does not get into the mail."""
    made = digest(now={"lost": 9}, named=[("lost", "math-7")])

    assert summary(made) == "0 started, 0 passed, 0 failed, 0 absent"
    assert "math-7" not in body(made, "plain")


def test_heads_of_the_log(tmp_path: Path) -> None:
    """A mail carries where each process' log stands; the audit reads it from the mailbox."""
    heads = [
        Head(chain=f"{n:016x}", seq=n + 1, head=f"{n:032x}", part="worker-exam", pid=4711)
        for n in range(30)
    ]
    made = digest(named=[("pass", "x" * 64)] * 3)
    written = write_mail(made, sender="a@b.test", receiver="c@d.test", heads=heads)
    (tmp_path / "new").mkdir()
    (tmp_path / "new/mail").write_bytes(written.as_bytes())

    assert heads == anchors.read(tmp_path)
    assert str(heads[7]) in str(written.get_body(("html",)))
    assert [] == list(anchors.heads_in(body(made, "plain")))
