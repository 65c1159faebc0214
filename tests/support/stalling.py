"""Stalling: clients that connect and then do not do what a client does."""

import select
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from ingest.lines import NDJSON

#: Seconds between two bytes of one that trickles.
TRICKLE_S = 0.5
_POST = b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: 9999\r\n\r\n"
_BODY = _POST % (b"exams", b"application/json") + b"{"
_LINES = _POST % (b"commands", NDJSON.encode()) + b'{"type":"echo",'
_WAIT = b"POST /exams HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nPrefer: wait=30\r\n"
_BAD_LINES = b"1\n" * 700
#: What is sent, and what trickles behind it.
KINDS: Mapping[str, tuple[bytes, bytes]] = {
    "silent": (b"", b""),
    "half a head": (b"GET /livez HTTP/1.1\r\nHos", b""),
    "trickling head": (b"GET /livez HTTP/1.1\r\nX: ", b"x"),
    "half a body": (_BODY, b""),
    "trickling body": (_BODY, b" "),
    "half a line": (_LINES, b""),
    "trickling line": (_LINES, b" "),
    "reads no list": (b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 8, b""),
    "reads no lines": (
        (_POST % (b"commands", NDJSON.encode())).replace(b"9999", b"%d" % len(_BAD_LINES))
        + _BAD_LINES,
        b"",
    ),
    # and with a good reason
    "idle": (b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", b""),
    "listens": (b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n", b""),
    "reads slowly": (b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 30, b""),
    "waits": (_WAIT + b"Content-Length: 2\r\n\r\n{}", b""),
}
#: Those that have a reason.
GOOD = ("idle", "listens", "reads slowly", "waits")
#: Bytes that one takes at a time who reads slowly.
SIP = 4_000


class Stalling:
    """
    One client that stalls.

    Args:
        context: Of TLS; None: in the clear.
        shakes_hands: Whether it gets as far as that, where there is TLS.
    """

    def __init__(
        self,
        url: str,
        kind: str,
        context: ssl.SSLContext | None = None,
        *,
        shakes_hands: bool = True,
    ) -> None:
        self._reads = not kind.startswith("reads no")
        self._sips = kind == "reads slowly"
        first, self._trickle = KINDS[kind]
        where = urlsplit(url)
        raw = socket.socket()
        if self._sips or not self._reads:  # small windows and packets: little is on its way
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        raw.settimeout(30)
        raw.connect((where.hostname, where.port))
        is_tls = context is not None and shakes_hands
        self._socket = (
            context.wrap_socket(raw, server_hostname="localhost") if context and is_tls else raw
        )
        self._socket.sendall(first)
        self._socket.setblocking(False)
        self._sent = time.monotonic()
        self.got = b""

    def close(self) -> None:
        """Go away."""
        self._socket.close()

    def is_closed(self) -> bool:
        """Whether the gateway has closed it; meanwhile it trickles, and reads if it does."""
        if not self._reads:
            poll = select.poll()
            poll.register(self._socket, 0)  # nothing but errors and the end
            return bool(poll.poll(0))
        try:
            if self._trickle and time.monotonic() - self._sent > TRICKLE_S:
                self._sent = time.monotonic()
                self._socket.send(self._trickle)
            while piece := self._socket.recv(SIP if self._sips else 65_536):
                self.got += piece
                if self._sips:
                    return False
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        return True
