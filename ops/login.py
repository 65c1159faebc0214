"""Login: who sits at the command line."""

import getpass
import os


def login() -> str:
    """Name the user, or the number where no name is known, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
