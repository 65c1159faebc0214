"""Flood: more starts of exams than anyone can do, and what each was answered."""

import asyncio
import re
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

#: Clients at once; each asks again as soon as it is answered.
CLIENTS = 32
#: Requests that a client sends in one piece: who asks must not need more of the machine than who
#: answers.
AT_ONCE = 16
#: Seconds that an exam of the flood lasts: it is still open when the flood is judged.
DURATION_S = 604_800
#: Seconds for an answer.
ANSWER_LIMIT_S = 30.0

_HEAD = "POST /exams HTTP/1.1\r\nHost: invigil\r\nContent-Type: application/json\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)\r\n")
_AFTER = re.compile(rb"(?i)\r\nretry-after: (\d+)\r\n")


@dataclass(slots=True)
class Flood:
    """
    What came of it.

    Attributes:
        taken: Names of the exams that were acknowledged.
        refused: Name of each exam that was not -> status and ``Retry-After``.
    """

    taken: list[str] = field(default_factory=list)
    refused: dict[str, tuple[int, str | None]] = field(default_factory=dict)

    async def run(self, url: str, seconds: float) -> None:
        """
        Send for so long.

        Raises:
            OSError, EOFError: The gateway has closed a connection that it should serve.
        """
        where = urlsplit(url)
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(self._client(number, where.hostname, where.port, until))

    async def _client(self, number: int, host: str | None, port: int | None, until: float) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        sent = 0
        while time.monotonic() < until:
            pks = [f"flood-{number}-{sent + one}" for one in range(AT_ONCE)]
            writer.write(b"".join(map(_request, pks)))
            async with asyncio.timeout(ANSWER_LIMIT_S):
                for pk in pks:
                    self._note(pk, await _answer(reader))
            sent += AT_ONCE
        writer.close()
        await writer.wait_closed()

    def _note(self, pk: str, answer: tuple[int, str | None]) -> None:
        if answer[0] == 202:
            self.taken.append(pk)
        else:
            self.refused[pk] = answer


def _request(pk: str) -> bytes:
    body = f'{{"pk": "{pk}", "duration": {DURATION_S}}}'
    return f"{_HEAD}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str | None]:
    """Read one answer: its status, and ``Retry-After``."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    assert length
    await reader.readexactly(int(length[1]))
    after = _AFTER.search(head)
    return int(head[9:12]), after[1].decode() if after else None
