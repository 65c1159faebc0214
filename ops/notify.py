"""Notify: tell whoever started this process that it is ready, in systemd's way."""

import os
import socket


def ready() -> None:
    """
    Send ``READY=1`` to the socket in ``NOTIFY_SOCKET``; do nothing where there is none.

    `invigil up` listens there, and so does systemd for a unit with ``Type=notify``. The variable
    is removed, so that a process started from this one does not speak in its name.

    Source: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
    """
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        try:
            notify.connect(address)
            notify.sendall(b"READY=1")
        except OSError:
            return  # nobody listens any more: nobody waits
