"""Ids that the gateway makes up."""

import time
from uuid import RFC_4122, UUID

from ingest import ids
from ingest.commands import parse


def test_uuid7_is_that_of_the_rfc() -> None:
    """The layout is that of RFC 9562: its own example (appendix A.6) comes out."""
    made = ids.uuid7(unix_ms=0x017F22E279B0, noise=bytes.fromhex("0cc318c4dc0c0c07398f"))

    assert made == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_version_and_variant_overwrite_noise() -> None:
    """Whatever the noise, the UUID says that it is one of version 7."""
    made = [UUID(ids.uuid7(unix_ms=0, noise=noise * 10)) for noise in (b"\x00", b"\xff")]

    assert [(uuid.version, uuid.variant) for uuid in made] == [(7, RFC_4122)] * 2


def test_command_id_tells_the_time() -> None:
    """The UUID of a command begins with the moment it was made, and no two are the same."""
    before_ms = time.time_ns() // 1_000_000

    made = {UUID(ids.new_uuid()) for _ in range(1000)}

    after_ms = time.time_ns() // 1_000_000
    assert len(made) == 1000
    assert all(before_ms <= one.int >> 80 <= after_ms for one in made)


def test_made_up_pk_follows_the_rule() -> None:
    """A pk that the gateway makes is one that a client could have sent."""
    for _ in range(100):
        pk = ids.new_pk()

        assert pk.startswith("exam-")
        assert parse("exam.start", {"pk": pk})
