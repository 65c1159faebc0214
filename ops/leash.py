"""Leash: a program that ends when the one that started it does. Run as a script before it."""

import os
import signal
import sys
from collections.abc import Sequence

#: Linux: the signal a process gets when the thread that started it ends. It outlives exec.
PR_SET_PDEATHSIG = 1


def leashed(argv: Sequence[str], *, end_with: signal.Signals) -> list[str]:
    """
    Return the command that runs *argv* so that it gets *end_with* when this process dies.

    The command runs this file, which sets the signal and becomes *argv*: same process id, same
    descriptors. A function between fork and exec (``preexec_fn``) would do without it and is not
    safe beside threads. Start the command from the main thread: the signal comes when the thread
    that started it ends. On other systems than Linux: *argv* as it is.

    Source: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
    """
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-I", "-S", __file__, str(int(end_with)), str(os.getpid()), *argv]


def prctl(option: int, value: int | bytes) -> None:
    """Set something of this process, on Linux; an option that it does not know changes nothing."""
    import ctypes  # noqa: PLC0415 - few who import this module need it

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main(number: str, parent: str, *argv: str) -> None:
    """Ask for the signal and become *argv*, unless the parent is gone already."""
    prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != int(parent):
        sys.exit(f"process {parent} is gone, {argv[0]} is not started")
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
