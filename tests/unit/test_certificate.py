"""The certificate of TLS: which files are taken, and what is said of the others."""

import os
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.authority import Authority

from ingest import certificate
from ingest.certificate import SOON_MS, Certificate, Validity
from ops import gateway_client, outage, up
from ops.settings import BadSettings, Settings

DAY_MS = 24 * 3_600_000


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who signs."""
    return Authority(tmp_path)


def complaint(files: tuple[Path | None, Path | None]) -> str:
    """What is said against these files."""
    settings = Settings(tls_cert=files[0], tls_key=files[1])
    with pytest.raises(BadSettings) as caught:
        certificate.require(settings)
    return str(caught.value)


def test_good_files_are_taken(authority: Authority) -> None:
    """Files that belong together are taken; without any there is no TLS."""
    files = authority.issue()

    taken = certificate.of(Settings(tls_cert=files[0], tls_key=files[1]))

    assert taken
    assert certificate.of(Settings()) is None


def test_one_file_is_not_enough(authority: Authority) -> None:
    """A certificate without a key, or a key without a certificate, is half a setting."""
    cert, key = authority.issue()

    assert complaint((cert, None)).startswith("INVIGIL_TLS_KEY: is not set")
    assert complaint((None, key)).startswith("INVIGIL_TLS_CERT: is not set")


def test_missing_files(authority: Authority) -> None:
    """A file that is not there is named, with its setting."""
    cert, key = authority.issue()
    gone = cert.with_name("gone.pem")

    assert (
        complaint((gone, key))
        == f"INVIGIL_TLS_CERT: {gone} cannot be read: No such file or directory"
    )
    assert (
        complaint((cert, gone))
        == f"INVIGIL_TLS_KEY: {gone} cannot be read: No such file or directory"
    )


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o660, 0o620])
def test_key_that_others_may_read(authority: Authority, mode: int) -> None:
    """A key that others may read, or a group change, is none any more."""
    cert, key = authority.issue()
    key.chmod(mode)

    assert complaint((cert, key)) == (
        f"INVIGIL_TLS_KEY: {key} is open to others ({mode:o}); close it: chmod 600 {key}"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_key_of_a_group(authority: Authority) -> None:
    """A group may read a key that is root's, as systems share one, and no other."""
    cert, key = authority.issue()
    key.chmod(0o640)
    certificate.require(Settings(tls_cert=cert, tls_key=key))
    os.chown(key, 12345, -1)

    assert "open to others (640)" in complaint((cert, key))


def test_files_that_do_not_fit(authority: Authority) -> None:
    """The key of another certificate, garbage, and files the wrong way round are told apart."""
    (cert, key), (_, other) = authority.issue(), authority.issue("other")
    garbage = cert.with_name("garbage")
    garbage.touch(0o600)
    garbage.write_text("-----BEGIN CERTIFICATE-----\nno\n")

    assert complaint((cert, other)) == f"INVIGIL_TLS_KEY: {other} does not fit the certificate"
    assert complaint((cert, garbage)) == f"INVIGIL_TLS_KEY: {garbage} is no unencrypted key in PEM"
    assert complaint((key, key)) == f"INVIGIL_TLS_CERT: {key} is no certificate in PEM format"
    assert (
        complaint((garbage, key)) == f"INVIGIL_TLS_CERT: {garbage} is no certificate in PEM format"
    )


def test_certificate_that_has_expired(authority: Authority) -> None:
    """It is said until when it was valid, and what the clock says: one of both is wrong."""
    files = authority.issue(days=(-9, -1))

    said = complaint(files)

    assert said.startswith(f"INVIGIL_TLS_CERT: {files[0]} has expired: it was valid until 20")
    assert "renew it (the clock says 20" in said
    assert said.isprintable()


def test_certificate_of_the_future(authority: Authority) -> None:
    """One that is not valid yet mostly means a clock that is behind, and that is said."""
    files = authority.issue(days=(1, 9))

    assert "is not valid before" in complaint(files)
    assert "set the clock right (the clock says" in complaint(files)


@pytest.mark.parametrize(
    ("validity", "now_ms", "is_soon"),
    [
        (Validity(0, 90 * DAY_MS), 90 * DAY_MS - SOON_MS, False),
        (Validity(0, 90 * DAY_MS), 90 * DAY_MS - SOON_MS + 1, True),
        (Validity(0, 4 * DAY_MS), 3 * DAY_MS, False),
        (Validity(0, 4 * DAY_MS), 3 * DAY_MS + 1, True),
    ],
)
def test_soon(validity: Validity, now_ms: int, *, is_soon: bool) -> None:
    """Soon is two weeks before the end, or the last quarter of a short life."""
    assert validity.is_soon_over(now_ms) == is_soon


def test_what_expires_soon_is_warned_of(authority: Authority) -> None:
    """It is taken, and said once, not at each look; one with time ahead is not spoken of."""
    with capture_logs() as lines:
        soon = Certificate(*authority.issue(days=(-80, 3)))
        soon.look()
        Certificate(*authority.issue("other"))

    [line] = [line for line in lines if line["event"] == "certificate_expires"]
    assert line["log_level"] == "warning"
    assert line["path"].endswith("gateway.pem")
    assert 2 * DAY_MS < line["expires_ms"] - time.time() * 1_000 < 3 * DAY_MS


def test_change_for_the_worse(authority: Authority) -> None:
    """A certificate that is replaced by a worse one stays in use, and that is said once."""
    cert, key = authority.issue()
    taken = Certificate(cert, key)
    try:
        with capture_logs() as lines:
            authority.issue(days=(-9, -1))
            taken.look()
            taken.look()
            authority.issue()
            taken.look()
    finally:
        outage.CERTIFICATE.forget()

    assert [line["event"] for line in lines] == ["unavailable", "certificate_loaded", "available"]
    assert "has expired" in lines[0]["error"]


@pytest.mark.parametrize("tls", [None, Path("/c.pem")])
def test_url(tls: Path | None) -> None:
    """Whoever is told where the gateway is, is told whether it is encrypted."""
    settings = Settings(tls_cert=tls, host="::", port=8443)
    scheme = "https" if tls else "http"

    assert gateway_client.url_of(settings) == f"{scheme}://[::1]:8443"
    assert up._facts(settings, has_sink=True)["url"] == f"{scheme}://[::1]:8443"
    assert up.environment(settings).get("INVIGIL_TLS_CERT") == (str(tls) if tls else None)
