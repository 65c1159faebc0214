"""Raw HTTP: requests of any bytes, as no client library would send them."""

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

#: Seconds for an answer.
ANSWER_S = 20
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back; of a stream that has no end, its head and its beginning."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Value of a header; empty without it."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), "")


def ask(url: str, request: bytes) -> RawAnswer:
    """Send the bytes of a request, and read one answer."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=ANSWER_S) as connection:
        connection.sendall(request)
        seen = b""
        while HEAD_END not in seen and (piece := connection.recv(65_536)):
            seen += piece
        head, _, body = seen.partition(HEAD_END)
        answer = parsed(head, body)
        length = int(answer.header("Content-Length") or 0)
        while len(body) < length and (piece := connection.recv(65_536)):
            body += piece
    return RawAnswer(answer.status, answer.headers, body)


def written(
    method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b""
) -> bytes:
    """Write a request; nothing in it is looked at."""
    sized = [(b"Host", b"localhost"), (b"Connection", b"close"), *headers]
    if body:
        sized.append((b"Content-Length", str(len(body)).encode()))
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in sized)
    return method.encode() + b" " + target + b" HTTP/1.1\r\n" + lines + b"\r\n" + body


def parsed(head: bytes, body: bytes) -> RawAnswer:
    """Read the head of an answer."""
    first, *rest = head.decode("latin-1").split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (line.partition(":") for line in rest)]
    return RawAnswer(int(first.split(" ")[1]), pairs, body)
