"""Random bytes from a stock: nobody gets the same ones."""

import os
from concurrent.futures import ThreadPoolExecutor

from ops.chance import AT_ONCE, noise


def test_length() -> None:
    """As many as were asked for, also more than there are in stock."""
    assert [0, 1, 10, AT_ONCE, 3 * AT_ONCE] == [
        len(noise(count)) for count in (0, 1, 10, AT_ONCE, 3 * AT_ONCE)
    ]


def test_threads() -> None:
    """Threads that ask at once get different ones."""
    with ThreadPoolExecutor(8) as pool:
        found = [one for many in pool.map(lambda _: _many(), range(8)) for one in many]

    assert len(set(found)) == len(found)


def test_forked_process() -> None:
    """A forked process does not hand out what its parent has in stock."""
    noise(1)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, noise(16))
        os._exit(0)
    os.wait()
    childs = os.read(reading, 16)
    os.close(reading)
    os.close(writing)

    assert len(childs) == 16
    assert childs != noise(16)


def _many() -> list[bytes]:
    return [noise(10) for _ in range(5_000)]
