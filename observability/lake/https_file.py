"""Read one file on a web server by range requests.

The host name is resolved once, and the connection goes to that IP address. Addresses that only this machine or its network segment reaches
are refused (loopback; link-local, where clouds serve metadata), except for a host that is itself named as loopback. At most three redirects
are followed, over HTTPS only and under the same rule.
"""

import http.client
import io
import ipaddress
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast
from urllib.parse import unquote, urljoin, urlsplit

from observability.core.errors import NotFoundError, StoreBrokenError, UsageError
from observability.lake.addresses import LOOPBACK, LakeAddress
from observability.lake.object_files import BUFFER_BYTES, CHECK, ENDINGS, first_line
from observability.lake.ranged_file import RangedFile
from observability.store.types.sources import SourceFile

SECONDS = 60
MAX_REDIRECTS = 3


def require_outside(host: str, port: int) -> str:
    """The IP address to which a host's connection is made. Raises UsageError if the address must not be reached, StoreBrokenError if the
    name is unknown.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise StoreBrokenError("the host is not known", got=f"{host}: {error.strerror or error}", attempt=CHECK) from None
    numbers = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    for number in numbers:
        real = getattr(number, "ipv4_mapped", None) or number
        inside = real.is_link_local or real.is_multicast or real.is_unspecified or (real.is_loopback and host not in LOOPBACK)
        if inside:
            raise UsageError("the host is not to be read", got=f"{host} ({number})", expected="no loopback or link-local address")
    return str(numbers[0])


class _PinnedConnection(http.client.HTTPSConnection):
    """A connection to an IP address that was checked. The certificate must be the one of the host."""

    def __init__(self, host: str, port: int, number: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=SECONDS, context=context)
        self.number, self.secured = number, context

    def connect(self) -> None:
        """Connect to the address, and check that the certificate is the host's."""
        plain = socket.create_connection((self.number, self.port), self.timeout)
        self.sock = self.secured.wrap_socket(plain, server_hostname=self.host)


def https_answer(url: str, method: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower case) and body of a request; redirects are followed. Raises UsageError, StoreBrokenError."""
    for _ in range(MAX_REDIRECTS + 1):
        parts = urlsplit(url)
        host, shown = parts.hostname or "", url.partition("?")[0]
        if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
            raise UsageError("a redirect leads away from HTTPS", got=shown)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        number = require_outside(host, port)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = _PinnedConnection(host, port, number, ssl.create_default_context())
        else:
            connection = http.client.HTTPConnection(number, port, timeout=SECONDS)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with closing(connection):
                connection.request(method, target, headers={"Host": parts.netloc, "Accept-Encoding": "identity", **headers})
                answer = connection.getresponse()
                found = {name.lower(): value for name, value in answer.getheaders()}
                if answer.status not in (301, 302, 303, 307, 308):
                    ranged = method == "GET" and answer.status == 206
                    return answer.status, found, answer.read() if ranged else b""
        except (OSError, http.client.HTTPException) as error:
            raise StoreBrokenError("the source cannot be read", where=shown, got=first_line(error), attempt=CHECK) from None
        url = urljoin(url, found.get("location", ""))
    raise UsageError("too many redirects", got=url.partition("?")[0])


class HttpsRanges(RangedFile):
    """The content of a file on a web server. Each read is one range; the file must not change meanwhile."""

    def __init__(self, url: str, size: int, mark: str) -> None:
        super().__init__(size)
        self.url, self.mark = url, mark

    def range_of(self, start: int, length: int) -> bytes:
        """The bytes from a position on. Raises StoreBrokenError if the server does not return exactly these bytes."""
        status, headers, body = https_answer(self.url, "GET", {"Range": f"bytes={start}-{start + length - 1}"})
        where = self.url.partition("?")[0]
        if status != 206 or len(body) != length:
            raise StoreBrokenError("the server did not answer a range", where=where, got=f"status {status}", attempt="Load it again")
        if web_fingerprint(headers, self.size) != self.mark:
            raise StoreBrokenError("the file changed while it was read", where=where, attempt="Load it again")
        return body


def web_fingerprint(headers: dict[str, str], size: int) -> str:
    """A value that changes with the content: the entity tag, else the time of the last change and the size."""
    return headers.get("etag") or f"{headers.get('last-modified', '')}-{size}"


@dataclass(frozen=True)
class HttpsFile:
    """A file on a web server whose path ends like that of a file that can be loaded."""

    place: LakeAddress
    format: str = "files"

    @property
    def address(self) -> str:
        """The address without its query."""
        return self.place.text

    def list_files(self) -> tuple[list[SourceFile], int]:
        """The one file of this source. Raises UsageError if it cannot be read in ranges."""
        name = unquote(urlsplit(self.address).path.rpartition("/")[2])
        if not name.lower().endswith(ENDINGS):
            raise UsageError("the address names no file to load", got=self.address, expected=f"a path that ends with {', '.join(ENDINGS)}")
        url = self.place.request
        status, headers, _ = https_answer(url, "GET", {"Range": "bytes=0-0"})
        if status in (404, 410):
            raise NotFoundError("there is nothing at this address", got=self.address, attempt="Check the address")
        if status in (401, 403):
            raise UsageError("the address may not be read", got=f"{self.address}: status {status}", attempt="Use an address that is signed")
        whole = headers.get("content-range", "").rpartition("/")[2]
        if status != 206 or not whole.isdigit():
            attempt = "Download the file and load it, or serve it with range requests"
            raise UsageError("the server does not answer ranges", where=self.address, got=f"status {status}", attempt=attempt)
        size, mark = int(whole), web_fingerprint(headers, int(whole))

        def opened(of: str, most: int, tag: str) -> BinaryIO:
            return cast("BinaryIO", io.BufferedReader(HttpsRanges(of, most, tag), BUFFER_BYTES))

        return [SourceFile(name, mark, size, partial(opened, url, size, mark))], 0
