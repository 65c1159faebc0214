"""Flood: more starts of exams than anyone can do, and what each was answered."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

#: Clients at once; each asks again as soon as it is answered.
CLIENTS = 64
#: Seconds that an exam of the flood lasts: it is still open when the flood is judged.
DURATION_S = 604_800
#: Seconds for an answer.
ANSWER_LIMIT_S = 30.0


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
            pk = f"flood-{number}-{sent}"
            writer.write(_request(pk))
            async with asyncio.timeout(ANSWER_LIMIT_S):
                status, headers = await _answer(reader)
            if status == 202:
                self.taken.append(pk)
            else:
                self.refused[pk] = (status, headers.get("retry-after"))
            sent += 1
        writer.close()
        await writer.wait_closed()


def _request(pk: str) -> bytes:
    body = json.dumps({"pk": pk, "duration": DURATION_S})
    lines = (
        "POST /exams HTTP/1.1",
        "Host: invigil",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return ("\r\n".join(lines) + f"\r\n\r\n{body}").encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    await reader.readexactly(int(headers["content-length"]))
    return int(first.split()[1]), headers
