"""Clock: a Redis whose clock steps, by Debian's libfaketime."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

#: Where distributions put the library for programs with several threads.
PLACES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")


class Clock:
    """What a server takes for the time of day; its monotonic clock is left alone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step(0)

    def step(self, seconds: int) -> None:
        """Be so many seconds ahead of the machine, or behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        shutil.move(new, self._file)

    def env(self) -> Mapping[str, str]:
        """Environment of the server."""
        return {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def _library() -> str:
    found = [path for place in PLACES for path in Path("/").glob(place.lstrip("/"))]
    if not found:
        pytest.skip("libfaketime is not installed (Debian: apt-get install libfaketime)")
    return str(found[0])
