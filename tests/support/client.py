"""Client: how tests name a Redis client."""

from typing import Any, TypeAlias

#: redis-py's types join bytes, str, None and awaitables in every answer; a test knows which it is.
Client: TypeAlias = Any
