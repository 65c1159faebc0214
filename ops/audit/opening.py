"""Opening: inputs ready to be read, with a bar that shows how far that is."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ops.audit import inputs
from ops.audit.inputs import Inputs


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[tuple[Inputs, inputs.Progress]]:
    """
    Open the inputs, and show on standard error, if that is a terminal, how much has been read.

    While they are read the garbage collector rests: nothing in an audit refers to itself, and it
    would look again and again at everything that is open.

    Raises:
        Unreadable: One cannot be read.
    """
    console = Console(stderr=True)
    columns = (TextColumn("audit"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with inputs.temporary() as folder:
            found = Inputs(paths, Path(folder))
            task = bar.add_task("audit", total=found.total)
            with bar if console.is_terminal else nullcontext():
                yield found, lambda size: bar.advance(task, size)
    finally:
        if was_enabled:
            gc.enable()
