"""A Redis URL in kombu's spelling."""

import pytest

from tasks.app import broker_url


@pytest.mark.parametrize(
    ("redis_url", "spelled"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("rediss://user:secret@host/2", "rediss://user:secret@host/2"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
        ("unix://:secret@/r.sock", "redis+socket://:secret@/r.sock?virtual_host=0"),
    ],
)
def test_spelling(redis_url: str, spelled: str) -> None:
    """A socket's scheme and database are spelled otherwise; all else is the same."""
    assert spelled == broker_url(redis_url)
