"""Desk: what an exam's commands are worked on with."""

from dataclasses import dataclass

from redis import Redis

from filestore.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """
    What an exam's commands are worked on with.

    Attributes:
        orphan_after_s: Seconds for which a result waits for its exam's start.
        most_attempts: Attempts at a command before it is buried.
        task: Id of the Celery task at work, where there is one.
    """

    redis: Redis
    store: Store
    orphan_after_s: int
    most_attempts: int
    task: str | None = None
