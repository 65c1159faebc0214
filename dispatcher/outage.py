"""Outage: say once that something is away and once that it is back, and wait longer each time."""

import structlog

from ops.events import Event

#: Seconds between two tries to reach Redis: the first, and the longest.
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 3.0

log = structlog.get_logger()


class Outage:
    """
    Redis away, as far as this process knows.

    Attributes:
        is_away: Whether the last try failed.
    """

    def __init__(self) -> None:
        self.is_away = False
        self._retry_s = FIRST_RETRY_S

    def went_on(self, error: Exception) -> float:
        """Note a failure; return the seconds to wait before the next try."""
        if not self.is_away:
            log.warning(Event.REDIS_UNAVAILABLE, error=str(error), error_type=type(error).__name__)
        self.is_away = True
        pause_s, self._retry_s = self._retry_s, min(2 * self._retry_s, LONGEST_RETRY_S)
        return pause_s

    def ended(self) -> None:
        """Note a success."""
        if self.is_away:
            log.info(Event.REDIS_AVAILABLE)
        self.is_away, self._retry_s = False, FIRST_RETRY_S
