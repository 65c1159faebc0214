"""Disk: how the gateway looks at the exams' files, off its loop; a disk can be away like Redis."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ingest.answering import Unavailable
from ops import outage

P = ParamSpec("P")
T = TypeVar("T")

ADVICE = "the disk with the exams cannot be read, and nothing was taken; send it again"


async def look(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """
    Do with the store what waits for the disk.

    Raises:
        Unavailable: The disk did not answer as it should.
    """
    try:
        found = await asyncio.to_thread(act, *args, **kwargs)
    except OSError as error:
        outage.DISK.went_on(error)
        raise Unavailable(f"{type(error).__name__}: {error}", advice=ADVICE) from error
    outage.DISK.ended()
    return found
