"""Lag: whether the stream holds entries that the dispatcher has not read."""

from collections.abc import Mapping, Sequence
from typing import Any

from ops import keys


def has_unread(groups: Sequence[Mapping[str, Any]]) -> bool:
    """
    Whether a stream that is not empty may hold entries that the dispatcher has not read.

    Args:
        groups: What XINFO GROUPS says. Without our group nothing has been read; a lag of None
            is one that Redis cannot tell.
    """
    lags = [group["lag"] for group in groups if group["name"] == keys.GROUP.encode()]
    return lags != [0]
