"""Keyring: the file of API keys, and what this process knows of it."""

import asyncio
import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filestore.durable import replace_file, sync_folder
from ingest.access import ApiKey, BadKeys, Keys, dump, load
from ops import outage, owned
from ops.owned import MODE
from ops.settings import BadSettings, Settings, variable

#: Seconds between two looks at the file.
LOOK_EVERY_S = 0.5
#: Seconds for which a look is believed: a key that is revoked stops within them. Who asks later,
#: since a look is late, waits for the next one.
BELIEVED_S = 1.0
#: Seconds that a look may take. From then on nobody is let in until it has come to its end.
PATIENCE_S = 2.0
#: Bytes of the file that are read.
MOST_BYTES = 16 << 20
#: What stands in the lock as soon as a key has been made; that anything does is what counts.
MARK = b"API keys have been made here: without keys.json nobody is let in.\n"


class KeysAway(OSError):  # noqa: N818 - says what they are
    """The file of keys cannot be used; the message names it, what was seen, and what to do."""


def file_of(data: Path) -> Path:
    """Name the file of keys in a data folder."""
    return data / "keys.json"


class Keyring:
    """
    The keys of one data folder, read again when the file has changed.

    Where there is no file there are no keys. A file that was there and is gone, cannot be read any
    more, or is not looked at in time, opens nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: Keys = {}
        self._seen: tuple[int, ...] | None = None
        self._error: str | None = None
        self._looked = self._began = float("-inf")
        self._looking: asyncio.Future[None] | None = None
        self._is_looking = False

    async def keys(self) -> Keys:
        """
        Give the keys as the file had them within the last second.

        Raises:
            KeysAway: The file cannot be used, or does not let itself be looked at.
        """
        oldest = time.monotonic() - BELIEVED_S
        for _ in range(2):  # what it shares with others may have begun too early
            if self._looked < oldest:
                await self.look()
        if self._error:
            raise KeysAway(self._error)
        return self._keys

    @property
    def known(self) -> Keys | None:
        """What `keys` gives, if that is known without a look."""
        is_believed = self._looked >= time.monotonic() - BELIEVED_S
        return self._keys if is_believed and not self._error else None

    async def look(self) -> None:
        """
        Look at the file, in a thread, since a disk can hang; many who ask share one look.

        What was seen is noted in the thread: a loop that has much to do, and hears of it late, must
        not take the look for one that hangs.
        """
        if self._looking is None or not self._is_looking:
            self._is_looking, self._began = True, time.monotonic()
            self._looking = asyncio.get_running_loop().run_in_executor(None, self._look)
        began, left_s = self._began, self._began + PATIENCE_S - time.monotonic()
        await asyncio.wait({self._looking}, timeout=max(0.0, left_s))
        if self._looked < began:
            self._note(f"{self._path} has not been looked at for {PATIENCE_S:.0f} s: it hangs")

    def _look(self) -> None:
        began = self._began
        try:
            self._keys, self._seen = self._refreshed()
            self._note(None)
        except KeysAway as error:
            self._note(str(error))
        except Exception as error:  # a bug of ours opens nothing, either
            self._note(f"{self._path}: {type(error).__name__}: {error}")
        self._looked = began
        self._is_looking = False

    def _refreshed(self) -> tuple[Keys, tuple[int, ...] | None]:
        found = _look(self._path)
        if found and found == self._seen:
            return self._keys, self._seen
        keys = read(self._path)
        if self._keys and not keys:
            raise KeysAway(f"{self._path} has no key any more, or is gone; put a copy back")
        if keys:
            # A copy from elsewhere comes without. Where this cannot write, the next `keys` does.
            with contextlib.suppress(OSError), _locked(self._path) as lock:
                _mark(lock, self._path)
        return keys, found

    def _note(self, error: str | None) -> None:
        self._error = error
        if error:
            outage.KEYS.went_on(KeysAway(error))
        else:
            outage.KEYS.ended()


def read(path: Path) -> Keys:
    """
    Read the file of keys; where none has ever been made there are none.

    Raises:
        KeysAway: It cannot be used: it is damaged, somebody else's or open to others; or it is gone
            or empty, and was not always.
    """
    try:
        about, text = _contents(path)
    except FileNotFoundError:
        return _none(path, "is gone")
    except OSError as error:
        raise KeysAway(f"{path} cannot be read: {error.strerror}") from error
    if about.st_uid not in {os.geteuid(), 0}:
        raise KeysAway(
            f"{path} belongs to user {about.st_uid}, who could add keys; we are {os.geteuid()}: "
            f"chown {os.geteuid()} {path}, when nobody else has changed it"
        )
    # Hashes are no secrets, but who can add one is let in.
    if said := owned.complaint(path, stat.S_IMODE(about.st_mode)):
        raise KeysAway(said)
    try:
        keys = load(text.decode())
    except (BadKeys, UnicodeDecodeError) as error:
        raise KeysAway(f"{path}: {error}; {_remedy(path)}") from None
    return keys or _none(path, "has no key any more")


def _none(path: Path, seen: str) -> Keys:
    """
    Give no keys, where there have never been any.

    Raises:
        KeysAway: There have: without them everyone would be let in.
    """
    try:
        is_marked = _lock_of(path).stat().st_size > 0
    except FileNotFoundError:
        is_marked = False
    except OSError as error:
        raise KeysAway(f"{_lock_of(path)} cannot be read: {error.strerror}") from error
    if is_marked:
        raise KeysAway(f"{path} {seen}, and keys have been made; {_remedy(path)}")
    return {}


def _remedy(path: Path) -> str:
    return f"put back a copy; or, to begin anew, remove {path} and {_lock_of(path)}, and make keys"


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
    with _locked(path) as lock:
        keys = dict(read(path))
        yield keys
        _mark(lock, path)  # first: a crash in between closes the gateway, and never opens it
        replace_file(path, dump(keys), temporary=path.with_suffix(".tmp"), mode=MODE)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    lock = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _mark(lock: int, path: Path) -> None:
    """Note, on the disk, that from now on there are keys."""
    if not os.fstat(lock).st_size:
        os.write(lock, MARK)
        os.fsync(lock)
        sync_folder(path.parent)


def _lock_of(path: Path) -> Path:
    return path.with_suffix(".lock")


def _contents(path: Path) -> tuple[os.stat_result, bytes]:
    with path.open("rb") as file:
        return os.fstat(file.fileno()), file.read(MOST_BYTES)


def _look(path: Path) -> tuple[int, ...] | None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeysAway(f"{path} cannot be read: {error.strerror}") from error
    return seen.st_ino, seen.st_mtime_ns, seen.st_size, seen.st_mode, seen.st_uid
