"""ACL files: the server's rules and the parts' logins on the disk, which belong together."""

import secrets
from pathlib import Path

from filestore.durable import replace_file
from ops import acl, logins
from ops.logins import Logins
from ops.owned import MODE
from ops.roles import Role

#: Bytes of chance in a password.
PASSWORD_BYTES = 32


def new_logins() -> Logins:
    """Make passwords that nobody has seen, for the rules of this release."""
    passwords = {role: secrets.token_urlsafe(PASSWORD_BYTES) for role in Role}
    return Logins(passwords, acl.fingerprint())


def keep(acl_path: Path, logins_path: Path, *, default: str) -> None:
    """
    Have both files as they should be: make what is missing, and what another release has made.

    Users that are not ours stay in the server's file.

    Args:
        default: The line of who does not log in.

    Raises:
        acl.BadAcl: The rules of a user of ours were edited by hand.
        logins.NoLogins: The file of logins cannot be used.
        OSError: The disk did not take them.
    """
    if not logins_path.exists():
        renew(acl_path, logins_path, new_logins(), default=default)
        return
    known = logins.read(logins_path)
    if known.rules == acl.fingerprint() and acl_path.exists():
        text = acl_path.read_text()
        there = acl.default_of(text) or default  # another server may have run here
        acl.check(text, acl.render(known.passwords, default=there))
    current = Logins(known.passwords, acl.fingerprint())
    renew(acl_path, logins_path, current, default=default)


def renew(acl_path: Path, logins_path: Path, known: Logins, *, default: str) -> None:
    """
    Write both files for these logins, whatever our users had before.

    Raises:
        acl.BadAcl: What is there is no ACL file.
        OSError: The disk did not take them.
    """
    found = acl_path.read_text() if acl_path.exists() else ""
    lines = [*acl.render(known.passwords, default=default), *acl.others(found)]
    write(acl_path, "\n".join(lines) + "\n")
    write(logins_path, logins.dump(known))  # last: who is killed before has changed no password


def write(path: Path, text: str) -> None:
    """Put a file on the disk that its owner alone may read."""
    replace_file(path, text, temporary=path.with_name(f"{path.name}.tmp"), mode=MODE)
