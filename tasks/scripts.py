"""Scripts: those in Lua that a worker calls for every bell."""

from functools import lru_cache
from importlib.resources import files

from redis import Redis
from redis.commands.core import Script


@lru_cache(maxsize=16)
def script(redis: Redis, name: str) -> Script:
    """Make one for a client, once: its digest costs more than to call it."""
    return redis.register_script(files("tasks").joinpath(name).read_text())
