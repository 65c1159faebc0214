"""TLS door: a port of this machine behind which a server's socket lies, with a certificate."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import trustme

CHUNK = 1 << 16


@contextlib.contextmanager
def opened(server: Path, certificate: trustme.LeafCert) -> Iterator[int]:
    """Pass on what comes, in both directions, until the end; give the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, server), daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, server: Path) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, context, server), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, server: Path) -> None:
    """One connection: a thread for each direction, and the end of one is the end of both."""
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX) as inner,
        client,
        context.wrap_socket(client, server_side=True) as outer,
    ):
        inner.connect(str(server))
        answers = threading.Thread(target=_pass_on, args=(inner, outer), daemon=True)
        answers.start()
        _pass_on(outer, inner)
        answers.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
