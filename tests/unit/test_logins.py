"""The file of the parts' logins to Redis."""

from pathlib import Path

import pytest

from ops import acl_files, logins
from ops.logins import Login, NoLogins
from ops.roles import Role


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file as it should be."""
    acl_files.write(tmp_path / "users.json", logins.dump(acl_files.new_logins()))
    return tmp_path / "users.json"


def test_replaced_file_counts(path: Path) -> None:
    """A password that was changed is used from the next connection on."""
    login = Login(path, Role.WORKER)
    name, before = login.get_credentials()

    acl_files.write(path, logins.dump(acl_files.new_logins()))

    assert "invigil-worker" == name
    assert before != login.get_credentials()[1]


def test_no_two_passwords_are_alike() -> None:
    """Each role of each server has one of its own, long enough."""
    passwords = {p for _ in range(2) for p in acl_files.new_logins().passwords.values()}

    assert 2 * len(Role) == len(passwords)
    assert 43 == min(map(len, passwords))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("ge heim", "has no password for each role"),
        ("[]", "has no password for each role"),
        ('{"rules": "x", "passwords": {"gateway": "geheim"}}', "make it anew: invigil acl create"),
        ('{"rules": "x", "passwords": "geheim"}', "has no password for each role"),
    ],
)
def test_unusable(path: Path, text: str | None, said: str) -> None:
    """What is missing or damaged is said in one line, without anything that stood in it."""
    path.unlink() if text is None else path.write_text(text)

    with pytest.raises(NoLogins, match=said) as caught:
        logins.read(path)

    assert str(path) in str(caught.value)
    assert "heim" not in str(caught.value).replace(str(path), "")


def test_open_to_others(path: Path) -> None:
    """Whoever can read the file can be every part: it is not used."""
    path.chmod(0o640)

    with pytest.raises(NoLogins, match=r"is open to others \(640\); close it: chmod 600"):
        logins.read(path)


def test_nothing_shows_a_password(path: Path) -> None:
    """Neither the login nor what was read shows one when it is printed."""
    known = logins.read(path)

    shown = f"{known!r} {Login(path, Role.WORKER)!r} {Login(path, Role.WORKER).__dict__}"

    assert not [password for password in known.passwords.values() if password in shown]
