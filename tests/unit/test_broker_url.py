"""A Redis URL in kombu's spelling."""

import pytest

from tasks.broker import broker_url


@pytest.mark.parametrize(
    ("redis_url", "spelled"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("rediss://user:secret@host/2", "rediss://user:secret@host/2?ssl_cert_reqs=required"),
        ("redis://localhost", "redis://localhost/0"),
        ("redis://host:1/0?db=5", "redis://host:1/5"),
        ("redis://host/1?username=u&password=p/w", "redis://u:p%2Fw@host/1"),
        ("redis://u:a%40b@[::1]:1/3", "redis://u:a%40b@[::1]:1/3"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        ("unix:///r.sock?password=p", "redis+socket://:p@/r.sock?virtual_host=0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
        ("unix://:secret@/r.sock", "redis+socket://:secret@/r.sock?virtual_host=0"),
    ],
)
def test_spelling(redis_url: str, spelled: str) -> None:
    """A socket's scheme and database are spelled otherwise; all else is the same."""
    assert spelled == broker_url(redis_url)


@pytest.mark.parametrize(
    ("redis_url", "spelled"),
    [
        ("redis://h/1", "redis://h/1?credential_provider=tasks.broker%3Alogin"),
        (
            "unix:///r.sock",
            "redis+socket:///r.sock?virtual_host=0&credential_provider=tasks.broker%3Alogin",
        ),
    ],
)
def test_login_of_a_file(redis_url: str, spelled: str) -> None:
    """Where a file has the logins kombu asks for one by name, and none stands in the URL."""
    assert spelled == broker_url(redis_url, has_logins=True)
