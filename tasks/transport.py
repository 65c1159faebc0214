"""
Transport: kombu's Redis, but a message that is none of ours is thrown away before Celery sees it.

`tasks/app.py` names it in kombu's table of transports. The methods are kombu's own and not meant
for others; what they do is tested with real messages, and `kombu` is bounded in `pyproject.toml`.
"""

import json
from typing import Any
from uuid import uuid4

import structlog
from kombu.transport import redis

from ops.events import Event
from tasks.envelope import Foreign, opened

log = structlog.get_logger()


class Channel(redis.Channel):
    """Takes what lies in the queues."""

    _handle: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's
        """
        Use one client for all that does not wait; kombu makes one for each message it notes.

        A client is no more than a pool's handle, and may be used by many threads at once.
        """
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._handle is None or self._handle.connection_pool is not self.pool:
            self._handle = super()._create_client()
        return self._handle

    def _brpop_read(self, **options: Any) -> Any:
        """Read the answer to BRPOP and deliver it; Celery would end with what is no JSON."""
        try:
            return super()._brpop_read(**options)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            log.warning(
                Event.MESSAGE_REFUSED, queue=None, reason=f"message: {type(error).__name__}"
            )
            return True


class Transport(redis.Transport):
    """Delivers what was taken."""

    Channel = Channel

    def _deliver(self, message: object, queue: str) -> None:
        """Hand a message on, made anew; or say why not, and forget it."""
        try:
            message = opened(message, tag=str(uuid4()), queue=queue)
        except Foreign as foreign:
            log.warning(Event.MESSAGE_REFUSED, queue=queue, reason=str(foreign))
            return
        super()._deliver(message, queue)
