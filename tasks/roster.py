"""Roster: every worker says how many children it has and how busy they are, so that all can see."""

import json
import os
import threading
import time
from contextlib import suppress
from functools import cache
from typing import Any

import redis.exceptions
from celery import signals
from celery.bootsteps import RUN
from celery.worker import state
from redis import Redis

from ops import keys, logins
from ops.roles import Role
from tasks.app import settings

#: Seconds between two reports of a worker.
REPORT_EVERY_S = 2.0
#: Milliseconds after which a worker that says nothing is struck off by any other; the whole roster
#: ends with the last of them. Who reads it does not wait for that.
STRUCK_OFF_MS = 60_000

#: In a script, since only Redis' clock is the same for all of them.
_REPORT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at = tonumber(string.match(all[i + 1], '^%d+'))
  if not at or at < now - ARGV[3] then
    redis.call('HDEL', KEYS[1], all[i])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""


def report(client: Redis, name: str, about: dict[str, object]) -> None:
    """Write down what a worker says of itself; strike off who has said nothing for long."""
    script = client.register_script(_REPORT)
    script(keys=[keys.WORKERS], args=[name, json.dumps(about), STRUCK_OFF_MS])


def about(worker: Any) -> dict[str, object]:
    """
    Look at a worker: what it serves, and with how many children.

    Args:
        worker: Celery's ``WorkController``. Its children are processes, or places for green
            threads; a message that one of them has begun with is a task at work.
    """
    pool = worker.pool
    alive = pool.info.get("processes")
    scaler = getattr(worker, "autoscaler", None)
    return {
        "queues": sorted(worker.app.amqp.queues.consume_from),
        "pool": "gevent" if pool.is_green else "prefork",
        "children": pool.num_processes if alive is None else len(alive),
        "most": scaler.max_concurrency if scaler else pool.num_processes,
        "busy": len(state.active_requests),
    }


@signals.worker_ready.connect
def _begin(sender: Any, **_: object) -> None:
    _reporting(sender.controller)


@cache
def _reporting(worker: Any) -> threading.Thread:
    """Report from a thread: the worker's own must not wait for Redis. Once, however often ready."""
    thread = threading.Thread(target=_report_on, args=(worker,), daemon=True)
    thread.start()
    return thread


def _report_on(worker: Any) -> None:
    # A client of its own: a process may be forked while this thread holds one of its locks.
    client = logins.connect(settings, Role.WORKER)
    name = f"{worker.hostname}/{os.getpid()}"
    while worker.blueprint.state == RUN:
        with suppress(redis.exceptions.RedisError):  # who works with it says so
            report(client, name, about(worker))
        time.sleep(REPORT_EVERY_S)
    with suppress(redis.exceptions.RedisError):
        client.hdel(keys.WORKERS, name)
