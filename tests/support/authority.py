"""Authority: certificates for tests, as an own authority of the operator's would give them."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


class Authority:
    """Who signs; its own certificate is what a client has to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self.file = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def issue(
        self, name: str = "gateway", *, days: tuple[float, float] = (-30, 335)
    ) -> tuple[Path, Path]:
        """Write a certificate for this machine and its key, valid from and until days from now."""
        begin, end = (datetime.now(UTC) + timedelta(days=day) for day in days)
        issued = self._ca.issue_cert("localhost", "127.0.0.1", not_before=begin, not_after=end)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        key.touch(0o600)
        key.write_bytes(issued.private_key_pem.bytes())
        return certificate, key

    def trusting(self) -> ssl.SSLContext:
        """What a client uses that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.file))


def variables(files: tuple[Path, Path]) -> dict[str, str]:
    """The settings that name these files."""
    return {"INVIGIL_TLS_CERT": str(files[0]), "INVIGIL_TLS_KEY": str(files[1])}
