"""Floods: who sends too many requests; said once as it begins, and with a count when it is over."""

import time
from dataclasses import dataclass

import structlog

from ops.events import Event

#: Keys and addresses that have lines of their own; what is more than that shares them.
MOST_TOLD = 1_000
#: Seconds without a request too many after which it is over.
QUIET_S = 10.0
#: How the lines name all addresses together, or those beyond `MOST_TOLD`.
EVERYONE = "everyone"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    Whose requests are too many, and by which setting.

    Attributes:
        limit: How many may come, such as ``1000/second``.
        peer: Address, `EVERYONE`, or None where it is not known.
        key: Id of the key, where it is a key's rate.
    """

    setting: str
    limit: str
    peer: str | None
    key: str | None = None


@dataclass(slots=True)
class _Count:
    refused: int = 0
    last_s: float = 0.0


class Floods:
    """In place of a line for each request: a flood must not push other lines out of the log."""

    def __init__(self) -> None:
        self._counts: dict[Source, _Count] = {}

    def note(self, source: Source) -> None:
        """Count a request that was refused, and say so of the first one."""
        if source not in self._counts and len(self._counts) >= MOST_TOLD:
            source = Source(setting=source.setting, limit=source.limit, peer=EVERYONE)
        if source not in self._counts:
            self._counts[source] = _Count()
            log.warning(Event.RATE_EXCEEDED, **_about(source))
        count = self._counts[source]
        count.refused += 1
        count.last_s = time.monotonic()

    def tell_ended(self, *, quiet_s: float = QUIET_S) -> None:
        """Say who has sent no request too many for so long."""
        now = time.monotonic()
        for source, count in tuple(self._counts.items()):
            if now - count.last_s >= quiet_s:
                del self._counts[source]
                log.info(Event.RATE_KEPT, **_about(source), refused=count.refused)


def _about(source: Source) -> dict[str, str | None]:
    about = {"setting": source.setting, "limit": source.limit, "peer": source.peer}
    return about | ({"key": source.key} if source.key else {})
