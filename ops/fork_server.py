"""
Fork server: the process that has imported what the parts import, and that they are forked from.

What keeps deadlines comes first; the rest is imported while nobody asks for a process.
"""

import gc
import importlib
import json
import os
import runpy
import select
import socket
import sys
import time
from collections.abc import Sequence

from ops.leash import PR_SET_PDEATHSIG, prctl
from ops.nursery import MOST_BYTES, READY, Request

PR_SET_NAME = 15
#: What can be imported before it is known for which settings.
OF_OTHERS = (
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.worker",
    "celery.worker.consumer",
    "celery.concurrency.prefork",
    "kombu.transport.redis",
    "ops.settings",
    "ops.log",
    "ops.connect",
)
FIRST = ("tasks", "tasks.exam", "dispatcher.loop", "ops.cli")
LATER = ("aiohttp.web", "ingest.gateway", "tasks.mail", "tasks.slow", "celery.bin.beat", "ops.sink")
#: Seconds for a new process to become `up`'s child.
ADOPTED_LIMIT_S = 5.0
LOOK_S = 0.0005


def serve(control: socket.socket) -> tuple[Request, int] | None:
    """
    Fork a process per request, until nobody asks any more.

    Returns:
        In a process that is to become a part what it is to become, and where its output goes; in
        the server itself None.
    """
    later = list(reversed(LATER))
    while True:
        if later and not select.select([control], [], [], 0)[0]:
            _import([later.pop()])
            continue
        text, descriptors, _, _ = socket.recv_fds(control, MOST_BYTES, 1)
        if not text:
            return None
        [output] = descriptors
        middle = os.fork()
        if middle:
            os.close(output)
            os.waitpid(middle, 0)
            continue
        child = os.fork()
        if child:  # its parent ends, and it is handed to `up`
            control.send(str(child).encode())
            os._exit(0)
        control.close()
        return Request(**json.loads(text)), output


def become(request: Request, output: int) -> None:
    """Be the part that was asked for."""
    _await_parent(request)
    os.setsid()
    prctl(PR_SET_NAME, request.name.encode()[:15])
    for target, descriptor in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output), (2, output)):
        os.dup2(descriptor, target)
        if descriptor > 2 and descriptor != output:
            os.close(descriptor)
    os.close(output)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):  # the old ones know another file
        stream = os.fdopen(descriptor, "w", buffering=1, closefd=False, errors="backslashreplace")
        setattr(sys, name, stream)
    os.environ.clear()
    os.environ.update(request.env)
    os.chdir(request.cwd)
    sys.argv = list(request.argv[2:])
    runpy.run_module(request.argv[2], run_name="__main__", alter_sys=True)


def _await_parent(request: Request) -> None:
    """Wait until this process is a child of `up`, and end with it from then on."""
    until = time.monotonic() + ADOPTED_LIMIT_S
    while os.getppid() != request.parent and time.monotonic() < until:
        time.sleep(LOOK_S)
    prctl(PR_SET_PDEATHSIG, request.end_with)
    if os.getppid() != request.parent:
        sys.exit(f"process {request.parent} is gone, {request.name} is not started")


def _import(names: Sequence[str]) -> None:
    for name in names:
        importlib.import_module(name)
    gc.freeze()  # what is shared with the parts is left alone


def main(control: int) -> None:
    """Import, and wait for who wants to be born."""
    _import(OF_OTHERS)
    with socket.socket(fileno=control) as asked:
        env = asked.recv(MOST_BYTES)
        if not env:
            return
        os.environ.clear()
        os.environ.update(json.loads(env))
        _import(FIRST)
        asked.send(READY)
        found = serve(asked)
    if found:
        become(*found)


if __name__ == "__main__":
    main(int(sys.argv[1]))
