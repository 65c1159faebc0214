"""Log lines: what a system has written, compared with the vocabulary."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops.grammar import check


def read(logs: Path) -> Iterator[dict[str, Any]]:
    """Read every line in a folder of logs; what a kill or a full disk has torn is none."""
    for path in sorted(logs.glob("*.jsonl")):
        for text in path.read_bytes().splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            yield line


def faults(logs: Path) -> Counter[str]:
    """Count what is wrong about the lines in a folder of logs."""
    return Counter(fault for line in read(logs) for fault in check(line))
