"""Lag: what Redis says of the dispatcher's group, and whether it has entries to read."""

from collections.abc import Mapping, Sequence
from typing import Any

from ops import keys


def ours(groups: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Find the dispatcher's group in what XINFO GROUPS says; None: it is made yet."""
    return next((group for group in groups if group["name"] == keys.GROUP.encode()), None)


def has_unread(groups: Sequence[Mapping[str, Any]]) -> bool:
    """
    Whether a stream that is not empty may hold entries that the dispatcher has not read.

    Args:
        groups: What XINFO GROUPS says. Without our group nothing has been read; a lag of None
            is one that Redis cannot tell.
    """
    group = ours(groups)
    return group is None or group["lag"] != 0
