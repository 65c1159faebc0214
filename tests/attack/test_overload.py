"""Far more is asked for than can be done, while exams run that began before."""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from support.flood import Flood
from support.memory import Seen, descendants, watched
from support.slowing import slowed
from support.stack import Stack, running
from support.waiting import wait_until

from filestore.document import from_iso
from ops import keys

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")

#: Seconds of flood; `tox -e overload` has a minute of it.
SECONDS = float(os.environ.get("OVERLOAD_SECONDS", "12"))
#: From where on starts are not taken: so early that a short flood gets there.
MAX_WAIT_S = 2
#: Share of its time that the one exam process gets. Who asks, over HTTP and on the same two cores,
#: cannot ask for ten times of what the whole machine can do.
SHARE = 0.1
#: Exams that run when it begins; half of them report a result, seconds before their end.
RUNNING = 40
#: Seconds that these exams last: their ends lie within the flood.
DURATION_S = int(SECONDS * 0.7)
EARLY_S = 2.0
#: Bytes by which the middle of the last third of looks may be above that of the second third. What
#: comes with every command, some hundred bytes, would be far more.
GROWTH = 16 << 20
#: Seconds until all that was taken is done.
REST_LIMIT_S = 120


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, redis_url: str | None) -> Iterator[Stack]:
    """A system that turns starts away soon, and keeps nothing on the stream that is done."""
    folder = tmp_path_factory.mktemp("stack")
    with running(
        folder,
        redis_url=redis_url,
        max_wait=MAX_WAIT_S,
        stream_retention=0,
        exam_autoscale="1,1",
        mail_every=3600,
    ) as stack:
        yield stack


async def test_overload(stack: Stack) -> None:
    """
    What was taken is done, what was not is told so, and who is at an exam notices nothing.

    All answers are 202, or 429 or 503 with a time to come again. What was refused has left nothing
    behind. Results of running exams are taken at the first try, those without one end as absent at
    their deadline or after it, and the memory of no process grows with what comes.
    """
    flood = Flood()
    reported = [f"reported-{number}" for number in range(RUNNING // 2)]
    silent = [f"silent-{number}" for number in range(RUNNING // 2)]
    await asyncio.gather(*(begin(stack, pk) for pk in [*reported, *silent]))
    wait_until(lambda: stack.document(silent[-1]), saying="they run")

    with watched(stack) as seen, slowed(lambda: pool_process(stack), share=SHARE):
        began = time.monotonic()
        async with asyncio.TaskGroup() as both:
            both.create_task(flood.run(stack.url, SECONDS))
            for pk in reported:
                both.create_task(report(stack, pk))
        took_s = time.monotonic() - began
        applied = count(stack)
    wait_until(stack.is_done, timeout_s=REST_LIMIT_S, saying="what was taken is done")

    documents = {path.stem: json.loads(path.read_text()) for path in files(stack)}
    late = [late_s(stack, documents[pk]) for pk in silent]
    tell(flood, applied, took_s, seen, late)
    assert flood.taken
    assert {(status, bool(after)) for status, after in flood.refused.values()} <= {
        (429, True),
        (503, True),
    }
    assert len(flood.refused) > len(flood.taken)
    assert set(documents) == {*flood.taken, *reported, *silent}
    assert {documents[pk]["status"] for pk in flood.taken} == {"started"}
    assert {documents[pk]["status"] for pk in reported} == {"pass"}
    assert {documents[pk]["status"] for pk in silent} == {"absent"}
    assert min(late) > 0
    assert not {part: grown for part, grown in growth(seen).items() if grown > GROWTH}


async def begin(stack: Stack, pk: str) -> None:
    """Start an exam that runs when the flood comes."""
    async with (
        ClientSession() as http,
        http.post(f"{stack.url}/exams", json={"pk": pk, "duration": DURATION_S}) as answer,
    ):
        assert answer.status == 202


async def report(stack: Stack, pk: str) -> None:
    """Report a result, amid the flood, at the first try."""
    deadline = from_iso(stack.document(pk)["deadline"]) / 1000
    await asyncio.sleep(deadline - time.time() - EARLY_S)
    url = f"{stack.url}/exams/{pk}/result"
    async with ClientSession() as http, http.post(url, json={"status": "pass"}) as answer:
        assert answer.status == 202, await answer.text()


def pool_process(stack: Stack) -> int:
    """Find the process that applies commands: there is one."""
    _, child, *_ = descendants(stack.pid("worker-exam"))
    return int(child.name)


def count(stack: Stack) -> int:
    """How many exams have begun, as the system counts them."""
    with stack.redis() as client:
        counts: Any = client.hgetall(keys.COUNTS)
    return int(counts.get(b"started", 0)) - RUNNING


def files(stack: Stack) -> list[Path]:
    """All documents."""
    return list(stack.settings.exams.glob("[0-9a-f][0-9a-f]/*.json"))


def growth(seen: Seen) -> dict[str, int]:
    """By process that lived long enough, bytes that it took more at the end than in the middle."""
    enough = SECONDS  # half of the looks that there could be
    return {
        f"{name} {pid}": round(
            statistics.median(looks[-len(looks) // 3 :])
            - statistics.median(looks[len(looks) // 3 : -len(looks) // 3])
        )
        for (name, pid), looks in seen.items()
        if len(looks) > enough
    }


def late_s(stack: Stack, document: dict[str, Any]) -> float:
    """Seconds from the deadline to when `absent` was on the disk, as the log has it."""
    [line] = stack.lines("applied", pk=document["pk"], type="exam.expire")
    return (from_iso(line["ts"]) - from_iso(document["deadline"])) / 1000


def tell(flood: Flood, applied: int, took_s: float, seen: Seen, late: list[float]) -> None:
    """Print the figures: they are for people, and nothing depends on them."""
    asked = len(flood.taken) + len(flood.refused)
    print(f"asked {asked / took_s:,.0f}/s, done {applied / took_s:,.0f}/s for {took_s:.0f} s: ")
    print(f"{asked / applied:.1f} times as much as can be done")
    print(f"taken {len(flood.taken):,}, refused {len(flood.refused):,}")
    print(f"absent {min(late):.2f} to {max(late):.2f} s after the deadline")
    for name, grown in sorted(growth(seen).items()):
        print(f"{name}: {grown / 2**20:+.1f} MB")
