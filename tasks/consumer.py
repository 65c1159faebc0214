"""Consumer: a worker that talks to nobody but its queues."""

from collections.abc import Mapping
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

#: Celery's names for what workers tell each other. Nothing here needs it, and without it a worker
#: has no right to publish anything in Redis, nor to listen: who may, could end other workers.
QUIET = {"without_mingle": True, "without_gossip": True, "without_heartbeat": True}


class Consumer(CeleryConsumer):
    """Celery's, however the worker was started."""

    def __init__(
        self, *args: Any, worker_options: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, worker_options={**(worker_options or {}), **QUIET}, **kwargs)
