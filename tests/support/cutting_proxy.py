"""Cutting proxy: a way to Redis on which answers get lost after the server has done its work."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

#: Bytes read at once: every request and answer of these tests is shorter.
CHUNK = 1 << 20


class CuttingProxy:
    """
    Passes bytes on between a port of this machine and a server's socket.

    Of the requests that hold *marks* together, the first and every *every*-th after it loses its
    answer: once the server has answered, both connections are closed. The first, because nobody
    knows how few requests a busy machine makes of many commands.

    Attributes:
        cuts: How many answers were lost.
    """

    def __init__(self, server: Path, *, marks: tuple[bytes, ...], every: int) -> None:
        self._server = server
        self._marks = marks
        self._every = every
        self._seen = 0
        self.cuts = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End it, and every connection through it."""
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                self._open |= {client, server}
                cut = threading.Event()
                for args in ((client, server, cut, True), (server, client, cut, False)):
                    threading.Thread(target=self._pass_on, args=args, daemon=True).start()

    def _pass_on(
        self, source: socket.socket, target: socket.socket, cut: threading.Event, to_server: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if to_server and self._is_chosen(data):
                    cut.set()  # before the server has it: its answer finds it set
                if not to_server and cut.is_set():
                    break
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _is_chosen(self, data: bytes) -> bool:
        if not all(mark in data for mark in self._marks):
            return False
        with self._lock:
            is_chosen = self._seen % self._every == 0
            self._seen += 1
            self.cuts += is_chosen
            return is_chosen


@contextlib.contextmanager
def cutting(server: Path, *, marks: tuple[bytes, ...], every: int) -> Iterator[CuttingProxy]:
    """Run such a proxy."""
    proxy = CuttingProxy(server, marks=marks, every=every)
    try:
        yield proxy
    finally:
        proxy.close()
