"""Keyring: the file of API keys, and what this process knows of it."""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filestore.durable import replace_file
from ingest.access import ApiKey, BadKeys, Keys, dump, load
from ops.settings import BadSettings, Settings, variable

#: Seconds for which what was read is believed: a key that is revoked stops within them.
LOOK_EVERY_S = 0.5
#: Only its owner may use the file: hashes are no secrets, but who can add one is let in.
MODE = 0o600
#: Bytes of the file that are read.
MOST_BYTES = 16 << 20


class KeysAway(OSError):  # noqa: N818 - says what they are
    """The file of keys cannot be used; the message names it, what was seen, and what to do."""


def file_of(data: Path) -> Path:
    """Name the file of keys in a data folder."""
    return data / "keys.json"


class Keyring:
    """
    The keys of one data folder, read again when the file has changed.

    Where there is no file there are no keys. A file that was there and is gone, or cannot be read
    any more, opens nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: Keys = {}
        self._seen: tuple[int, ...] | None = None
        self._looked = float("-inf")

    def keys(self) -> Keys:
        """
        Give the keys as the file has them, or had half a second ago.

        Raises:
            KeysAway: The file cannot be used.
        """
        now = time.monotonic()
        if now - self._looked >= LOOK_EVERY_S:
            self._refresh()
            self._looked = now
        return self._keys

    def _refresh(self) -> None:
        found = _look(self._path)
        if found is None and self._seen:
            raise KeysAway(f"{self._path} is gone; put it back, or start the gateway anew")
        if found and found != self._seen:
            self._keys = read(self._path)
            self._seen = found


def read(path: Path) -> Keys:
    """
    Read the file of keys; without one there are none.

    Raises:
        KeysAway: It is there and cannot be used: damaged, or open to others than its owner.
    """
    try:
        mode, text = _contents(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise KeysAway(f"{path} cannot be read: {error.strerror}") from error
    if mode & ~MODE:
        raise KeysAway(f"{path} is open to others ({mode:o}); close it: chmod 600 {path}")
    try:
        return load(text.decode())
    except (BadKeys, UnicodeDecodeError) as error:
        raise KeysAway(
            f"{path}: {error}; put back a copy, or remove it and make new keys"
        ) from None


def require(settings: Settings) -> None:
    """
    See that a gateway which others can reach asks them for a key.

    Raises:
        BadSettings: There is no key for anyone, or the file of keys cannot be used.
    """
    path = file_of(settings.data)
    try:
        keys = read(path)
    except KeysAway as error:
        raise BadSettings(f"{variable('data')}: {error}") from None
    if not keys and not settings.is_local:
        raise BadSettings(
            f"{variable('host')}: others than this machine can reach {settings.host!r}, and there "
            "is no API key; make one first: invigil keys create --name NAME --scope write"
        )


@contextmanager
def changing(path: Path) -> Iterator[dict[str, ApiKey]]:
    """
    Hold the file against others who change it; what the dictionary of keys is then is written.

    Raises:
        KeysAway: As from `read`; nothing was changed.
        OSError: The disk did not take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = dict(read(path))
        yield keys
        temporary = path.with_suffix(".tmp")
        temporary.touch(MODE)
        temporary.chmod(MODE)  # of one that was left behind, too
        replace_file(path, dump(keys), temporary=temporary)
    finally:
        os.close(lock)


def _contents(path: Path) -> tuple[int, bytes]:
    with path.open("rb") as file:
        return stat.S_IMODE(os.fstat(file.fileno()).st_mode), file.read(MOST_BYTES)


def _look(path: Path) -> tuple[int, ...] | None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeysAway(f"{path} cannot be read: {error.strerror}") from error
    return seen.st_ino, seen.st_mtime_ns, seen.st_size, seen.st_mode
