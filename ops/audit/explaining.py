"""Explaining: go through the logs, twice at most, for all that concerns one thing."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ops.audit.explain import Search
from ops.audit.inputs import Block
from ops.audit.opening import opened
from ops.audit.paths import find
from ops.audit.telling import tell


@dataclass(frozen=True, slots=True)
class Told:
    """A story in lines, and whether the logs know what was asked for."""

    told: list[str]
    is_known: bool


def explain(asked: str, names: Sequence[str]) -> Told:
    """
    Find and tell the story of *asked*.

    Raises:
        Unreadable: An input cannot be read.
    """
    search = Search(asked)
    with opened(find(names)) as (inputs, _):
        is_going = True
        while is_going:
            for block in inputs.blocks(lambda _: None):
                _feed(search, block)
            is_going = search.goes_on()
    told = tell(search, is_dimmed=sys.stdout.isatty())
    return Told(told, is_known=bool(search.kind))


def _feed(search: Search, block: Block) -> None:
    if not search.is_wanted(b"\n".join(block.lines) + b"\n"):
        return
    for number, raw in enumerate(block.lines, block.number):
        if search.is_wanted(raw, is_counted=False):
            try:
                line = json.loads(raw)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict):
                search.feed(line, f"{block.name}:{number}")
