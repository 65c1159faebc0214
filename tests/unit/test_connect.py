"""What says that Redis is away, in one place for every part."""

import pytest
import redis.exceptions

from ops.connect import is_away
from ops.logins import NoLogins
from tasks.world import is_to_blame

FULL_DISK = redis.exceptions.ResponseError("MISCONF Errors writing to the AOF file")


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.ConnectionError("refused"),
        redis.exceptions.TimeoutError("no answer"),
        redis.exceptions.BusyLoadingError("loading"),
        redis.exceptions.ReadOnlyError("a replica"),
        redis.exceptions.OutOfMemoryError("full"),
        FULL_DISK,
        redis.exceptions.AuthenticationError("invalid username-password pair"),
        redis.exceptions.NoPermissionError("no permissions to run the 'xadd' command"),
        redis.exceptions.ResponseError("ACL failure in script: User u has no permissions"),
        redis.exceptions.ResponseError("The user executing the script can't run this command"),
        NoLogins("users.json cannot be read: No such file or directory"),
    ],
)
def test_world_is_to_blame(error: Exception) -> None:
    """A Redis that is gone, full, closed, or cannot write is away, and no command's fault."""
    assert is_away(error)
    assert is_to_blame(error)


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.ResponseError("WRONGTYPE Operation against a key"),
        redis.exceptions.NoScriptError("no such script"),
        ValueError("MISCONF said by somebody else"),
    ],
)
def test_mistake_of_ours(error: Exception) -> None:
    """What Redis rightly refuses, and what is not of Redis, is a mistake of ours."""
    assert not is_away(error)
    assert not is_to_blame(error)


def test_disk_is_the_world() -> None:
    """A disk that does not take a document is no command's fault, and Redis is not away."""
    error = OSError(28, "No space left on device")

    assert (False, True) == (is_away(error), is_to_blame(error))
