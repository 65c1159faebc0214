"""Failed: what became of a start on the express way that the application is to answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from ops.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """
    A start that was let in and sent, and got no good answer.

    Attributes:
        error: What went wrong.
        trace: The step of the trace that went out with it.
        about: What its lines say of it.
        began_s: When it came, by `time.perf_counter`.
    """

    error: Exception
    trace: Trace
    about: Mapping[str, str]
    began_s: float


#: It, for the middlewares: none of them judges such a request once more.
FAILED = web.RequestKey("FAILED", Failed)
