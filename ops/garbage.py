"""Garbage: collect what a process leaves behind, without going through all that it keeps."""

import gc

#: New objects until the youngest are looked at, and looks until the next older ones are. Python's
#: 700 are a few requests' worth; nearly all of these are gone without being looked for.
THRESHOLDS = (10_000, 20, 20)


def spare_what_stays() -> None:
    """
    Leave alone what is there by now: modules, settings, routes. Call it once a part is ready.

    Each look at all objects stops the process, for 40 ms in a gateway, and finds nothing there.

    Source: https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
