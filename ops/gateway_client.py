"""Gateway client: sends lines of commands over HTTP, and tells what was answered to each."""

import http.client
import json
import ssl
from collections.abc import Generator, Sequence
from typing import Any
from urllib.parse import urlsplit

from ingest.lines import NDJSON
from ops.settings import Settings

#: Seconds without a byte after which nobody waits any more: a busy gateway answers a body late.
TIMEOUT_S = 60
#: Statuses of a line that is good, below 500: it was too much, or the key was taken back.
AGAIN = {401, 429}
#: Bytes of an answer that is no problem, of which a person is shown the first few.
MOST_SHOWN = 200
#: What to do about a certificate that is not trusted.
TRUST = "name its host in --url, and its own authority's file in SSL_CERT_FILE"


class Cut(Exception):  # noqa: N818 - says what happened
    """What became of a command, and of those behind it, is not known, or not to be had now."""


def url_of(settings: Settings) -> str:
    """
    Find the gateway that the settings tell of.

    Raises:
        ValueError: It listens on any free port.
    """
    if not settings.port:
        raise ValueError("the gateway listens on any free port; say --url")
    return settings.url


def post_lines(
    url: str, lines: Sequence[bytes], *, key: str | None = None
) -> Generator[str | None, None, None]:
    """
    Send commands in one request, with an API key if there is one.

    Yields:
        For each line in turn None when it was taken, or why it was not and never will be.

    Raises:
        Cut: Instead of the answer to a line, when it can be sent again; also where what answers
            is no gateway.
    """
    if not lines:
        return
    try:
        yield from _post(url, lines, key)
    except ssl.SSLCertVerificationError as error:
        raise Cut(f"{url}: {error.verify_message}; {TRUST}") from error
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
        raise Cut(f"{url}: {type(error).__name__}: {error}") from error


def _post(url: str, lines: Sequence[bytes], key: str | None) -> Generator[str | None, None, None]:
    connection = _connection(url)
    try:
        path = f"{urlsplit(url).path.rstrip('/')}/commands"
        body = b"\n".join(lines) + b"\n"
        headers = {"Content-Type": NDJSON}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        if response.status != 200 or response.headers.get_content_type() != NDJSON:
            raise Cut(f"{url}: {response.status} {_detail(response.read())}")
        for _ in lines:
            yield _refusal(response.readline())
    finally:
        connection.close()


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)


def _refusal(answer: bytes) -> str | None:
    if not answer.endswith(b"\n"):
        raise Cut("the answer ends early")
    said: dict[str, Any] = json.loads(answer)
    if "entry" in said:
        return None
    if said["problem"]["status"] in AGAIN or said["problem"]["status"] >= 500:
        raise Cut(said["problem"]["detail"])
    return str(said["problem"]["detail"])


def _detail(body: bytes) -> str:
    """Find what a person is told in an answer that may be anybody's."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, TypeError, KeyError):
        return ascii(body[:MOST_SHOWN].decode(errors="replace"))[1:-1]
