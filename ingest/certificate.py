"""Certificate: the two files that TLS needs, checked before anyone relies on them."""

import asyncio
import os
import ssl
import stat
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from filestore.document import iso
from ops import outage, owned
from ops.events import Event
from ops.settings import BadSettings, Settings, variable

#: Seconds between two looks at the files: a renewed certificate is in use within them.
LOOK_EVERY_S = 2.0
#: A certificate expires soon when less than this is left of it, or of a short one a quarter.
SOON_MS = 14 * 24 * 3_600_000
#: Seconds after which that is said again.
SAY_EVERY_S = 24 * 3_600
#: Who may read the key: its owner; of root's also a group, which is how systems share one.
#: Source: https://www.postgresql.org/docs/current/ssl-tcp.html
MODE_OF_ROOT, ANY_OF_OWNER = 0o640, 0o7700
#: Take a certificate whatever the clock says: we compare its dates ourselves, to say what they are.
#: Source: https://docs.openssl.org/3.0/man3/X509_VERIFY_PARAM_set_flags/
NO_CHECK_TIME = 0x200000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a certificate holds, in milliseconds since 1970."""

    from_ms: int
    until_ms: int

    def is_soon_over(self, now_ms: int) -> bool:
        """Whether it should have been renewed by now."""
        return self.until_ms - now_ms < min(SOON_MS, (self.until_ms - self.from_ms) // 4)


class Certificate:
    """
    A certificate with its key, taken up anew when the files have changed.

    Attributes:
        context: For the server; it stays the same when the certificate does not.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """
        Take it up.

        Raises:
            BadSettings: It cannot be used; names the setting, what was seen and what to do.
        """
        self._paths = certificate, key
        self._said = float("-inf")
        self.context = _server()
        self._load()

    async def watch(self) -> None:
        """Look at the files until cancelled; while they are wrong the old certificate is used."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Take up what has changed."""
        try:
            if self._seen != self._look():
                self._load()
            outage.CERTIFICATE.ended()
        except BadSettings as error:
            outage.CERTIFICATE.went_on(error)
        self._warn()

    def _load(self) -> None:
        seen = self._look()  # before it is read: a change meanwhile is seen next time
        self._validity = check(*self._paths, now_ms=time.time_ns() // 1_000_000)
        self.context.load_cert_chain(*self._paths)
        self._seen = seen
        self._said = float("-inf")
        log.info(Event.CERTIFICATE_LOADED, **self._about())
        self._warn()

    def _warn(self) -> None:
        if time.monotonic() - self._said < SAY_EVERY_S:
            return
        if self._validity.is_soon_over(time.time_ns() // 1_000_000):
            log.warning(Event.CERTIFICATE_EXPIRES, **self._about())
            self._said = time.monotonic()

    def _about(self) -> dict[str, object]:
        return {"path": str(self._paths[0]), "expires_ms": self._validity.until_ms}

    def _look(self) -> list[tuple[int, ...]]:
        return [
            (seen.st_ino, seen.st_mtime_ns, seen.st_size, seen.st_mode)
            for seen in map(_stat, self._paths, ("tls_cert", "tls_key"))
        ]


def of(settings: Settings) -> Certificate | None:
    """
    Take up the certificate that is set; None where none is.

    Raises:
        BadSettings: One file is set without the other, or they cannot be used.
    """
    files = _files(settings)
    return Certificate(*files) if files else None


def require(settings: Settings) -> None:
    """
    See that a certificate that is set can be used, and take up nothing.

    Raises:
        BadSettings: As from `of`.
    """
    if files := _files(settings):
        check(*files, now_ms=time.time_ns() // 1_000_000)


def _files(settings: Settings) -> tuple[Path, Path] | None:
    files = {"tls_cert": settings.tls_cert, "tls_key": settings.tls_key}
    missing = [name for name, path in files.items() if path is None]
    if len(missing) == 1:
        raise BadSettings(f"{variable(missing[0])}: is not set; TLS needs a certificate and a key")
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return settings.tls_cert, settings.tls_key


def check(certificate: Path, key: Path, *, now_ms: int) -> Validity:
    """
    See that a client that trusts a certificate can talk to who has these files.

    Raises:
        BadSettings: It cannot, or not at this time.
    """
    _check_key(key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False  # what it is called is the operator's business
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    server = _server()
    try:
        client.load_verify_locations(cafile=certificate)
    except OSError as error:
        raise _bad("tls_cert", certificate, error, "is no certificate in PEM format") from None
    try:
        server.load_cert_chain(certificate, key, password=_ask_nobody)
    except OSError as error:
        does_not_fit = "MISMATCH" in str(getattr(error, "reason", ""))
        said = "does not fit the certificate" if does_not_fit else "is no unencrypted key in PEM"
        raise _bad("tls_key", key, error, said) from None
    try:
        validity = _shake_hands(server, client)
    except ssl.SSLError as error:
        said = getattr(error, "verify_message", "") or str(error)
        raise _bad("tls_cert", certificate, error, f"cannot be used: {said}") from None
    _check_dates(certificate, validity, now_ms)
    return validity


def _server() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _check_key(path: Path) -> None:
    seen = _stat(path, "tls_key")
    mode = stat.S_IMODE(seen.st_mode)
    of_others = MODE_OF_ROOT if seen.st_uid == 0 else owned.MODE
    if said := owned.complaint(path, mode, allowed=of_others | ANY_OF_OWNER):
        raise BadSettings(f"{variable('tls_key')}: {said}")


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> Validity:
    """Let both talk to each other in memory; what the client then knows is the certificate."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there)
    answering = server.wrap_bio(there, back, server_side=True)
    for side in (asking, answering):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    asking.do_handshake()
    seen = asking.getpeercert()
    assert seen
    dates = [ssl.cert_time_to_seconds(str(seen[name])) for name in ("notBefore", "notAfter")]
    return Validity(*(1_000 * date for date in dates))


def _check_dates(path: Path, validity: Validity, now_ms: int) -> None:
    if validity.from_ms <= now_ms < validity.until_ms:
        return
    said = (
        f"{path} has expired: it was valid until {iso(validity.until_ms)}; renew it"
        if now_ms >= validity.until_ms
        else f"{path} is not valid before {iso(validity.from_ms)}; wait, or set the clock right"
    )
    raise BadSettings(f"{variable('tls_cert')}: {said} (the clock says {iso(now_ms)})")


def _stat(path: Path, field: str) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise _bad(field, path, error, "") from None


def _bad(field: str, path: Path, error: OSError, otherwise: str) -> BadSettings:
    """Word an error: the system's own reason, where it is not one of TLS."""
    is_of_tls = isinstance(error, ssl.SSLError)
    said = otherwise if is_of_tls else f"cannot be read: {error.strerror}"
    return BadSettings(f"{variable(field)}: {path} {said}")


def _ask_nobody() -> bytes:
    """Give an empty password: OpenSSL would ask on the terminal, and wait for ever."""
    return b""
