"""Places: where things lie in a data folder."""

import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

#: Bytes. Linux allows 107 in ``sun_path``, macOS 103.
MAX_SOCKET_PATH = 100


class Places:
    """What a data folder holds, for `Settings`, which know where it is."""

    if TYPE_CHECKING:  # pydantic would take it for a setting of its own
        data: Path

    @property
    def exams(self) -> Path:
        """Root of the file store."""
        return self.data / "exams"

    @property
    def logs(self) -> Path:
        """Folder of the log files, one per part."""
        return self.data / "logs"

    @property
    def mail(self) -> Path:
        """Folder of the digest's bookmark and of the development sink's Maildir."""
        return self.data / "mail"

    @property
    def redis_folder(self) -> Path:
        """Folder of the embedded server: append-only file, lock, and socket."""
        return self.data / "redis"

    @property
    def redis_socket(self) -> Path:
        """
        Socket of the embedded server.

        In the data folder, unless the path is too long for a socket: then in the folder for
        temporary files, under a name made from the data folder's.
        """
        path = self.redis_folder / "redis.sock"
        if len(str(path).encode()) <= MAX_SOCKET_PATH:
            return path
        digest = sha256(str(self.data).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"invigil-{digest}" / "redis.sock"
