"""Sink: a mail server for development, that takes every mail and delivers none."""

import asyncio
import logging
import signal

import structlog
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP

from ops.events import Event
from ops.log import configure
from ops.notify import ready
from ops.settings import Settings

#: Mails lie here, below the folder of the settings: any mail program opens it.
MAILDIR = "maildir"

log = structlog.get_logger()


def run(settings: Settings, port: int) -> None:
    """
    Take mail on this machine's *port* into the Maildir, until SIGTERM or SIGINT.

    Raises:
        OSError: When the port is taken.
    """
    configure(settings, part="sink")
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's: 12 lines for each mail
    log.info(Event.PART_STARTING, settings=settings.shown())
    asyncio.run(_serve(settings, port))


async def _serve(settings: Settings, port: int) -> None:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    mailbox = _mailbox(settings)
    server = await loop.create_server(
        lambda: SMTP(mailbox, enable_SMTPUTF8=True, hostname="localhost", loop=loop),
        "127.0.0.1",
        port,
    )
    log.info(Event.PART_READY, port=port)
    ready()
    await asked.wait()
    log.info(Event.PART_STOPPING)
    server.close()
    log.info(Event.PART_STOPPED)


def _mailbox(settings: Settings) -> Mailbox:
    path = settings.mail / MAILDIR
    for name in ("tmp", "new", "cur"):  # Mailbox makes them only where the folder is missing
        (path / name).mkdir(parents=True, exist_ok=True)
    return Mailbox(path)
