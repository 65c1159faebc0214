"""Outage: say once that something is away and once that it is back, and wait longer each time."""

import os

import structlog

from ops.events import Event

#: Seconds between two tries: the first, and the longest.
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 3.0

log = structlog.get_logger()


class Outage:
    """
    One thing of the world away, as far as this process knows.

    It needs no lock: a thread notes the change before it says it, and between the look and the
    note no other thread gets its turn. At worst a line is said twice.

    Attributes:
        is_away: Whether the last try failed.
        failures: How many tries failed since it began.
    """

    def __init__(self, what: str) -> None:
        """Take the name of the thing, as it stands in the lines."""
        self._what = what
        self.forget()

    def forget(self) -> None:
        """Know nothing, as a process that has just been forked: it says what it meets itself."""
        self.is_away, self.failures, self._retry_s = False, 0, FIRST_RETRY_S

    def went_on(self, error: BaseException) -> float:
        """Note a failure; return the seconds to wait before the next try."""
        was_away, self.is_away = self.is_away, True
        self.failures += 1
        pause_s, self._retry_s = self._retry_s, min(2 * self._retry_s, LONGEST_RETRY_S)
        if not was_away:
            log.warning(
                Event.UNAVAILABLE,
                what=self._what,
                error=str(error),
                error_type=type(error).__name__,
            )
        return pause_s

    def ended(self) -> bool:
        """Note a success; return whether it is the first one since a failure."""
        was_away, failures = self.is_away, self.failures
        self.forget()
        if was_away:
            log.info(Event.AVAILABLE, what=self._what, failures=failures)
        return was_away


#: The file of API keys.
KEYS = Outage("keys")
#: The files of TLS, which have changed to something that cannot be used.
CERTIFICATE = Outage("certificate")
REDIS = Outage("redis")
#: Where the exams and the digest's bookmark lie.
DISK = Outage("disk")
#: The mail server.
MAIL = Outage("mail")
#: The file of this process' log; its failures are the lines that it does not have.
LOG = Outage("log")
#: The stream of commands, when its entry ids are used up.
STREAM = Outage("stream")

ALL = (KEYS, CERTIFICATE, REDIS, DISK, MAIL, LOG, STREAM)

for _one in ALL:
    os.register_at_fork(after_in_child=_one.forget)
