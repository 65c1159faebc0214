"""Readiness: hear from each part that it is ready, at a socket of its own."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

#: Bytes of a folder's path that leave room for ours and a part's name in the path of a socket.
LONGEST_FOLDER = 68
#: Bytes; a message of the protocol is a few short lines.
LONGEST_MESSAGE = 4096


@contextlib.contextmanager
def listening(events: Mapping[str, asyncio.Event]) -> Iterator[Path]:
    """
    Listen, and set the event of each part that says that it is ready.

    Returns:
        The folder where each part has a socket under its name, for its ``NOTIFY_SOCKET``.

    Source: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
    """
    short = None if len(tempfile.gettempdir()) <= LONGEST_FOLDER else "/tmp"  # noqa: S108
    with (
        tempfile.TemporaryDirectory(prefix="invigil-up-", dir=short) as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        for part, event in events.items():
            stack.enter_context(_hearing(folder / part, event))
        yield folder


@contextlib.contextmanager
def _hearing(path: Path, event: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(0)
        receiver.bind(str(path))
        loop.add_reader(receiver, _receive, receiver, event)
        try:
            yield
        finally:
            loop.remove_reader(receiver)


def _receive(receiver: socket.socket, event: asyncio.Event) -> None:
    if b"READY=1" in receiver.recv(LONGEST_MESSAGE).split(b"\n"):
        event.set()
