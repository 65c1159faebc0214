"""Consumer: a worker that has nothing to say to others."""

from collections.abc import Mapping
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

#: Celery's names for what workers tell each other. Nothing here needs it, and so none of our users
#: has the right to publish: who has it can end every worker. Workers do listen: one that has its
#: hands full has no other connection on which it sees that Redis is gone, and would wait for ever
#: for room that nobody makes.
QUIET = {"without_mingle": True, "without_gossip": True, "without_heartbeat": True}


class Consumer(CeleryConsumer):
    """Celery's, however the worker was started."""

    def __init__(
        self, *args: Any, worker_options: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, worker_options={**(worker_options or {}), **QUIET}, **kwargs)
