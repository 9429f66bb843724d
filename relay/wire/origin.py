"""Where an upstream lives: scheme, host, port. Used by providers, forms and the client."""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from relay.wire.errors import InvalidRequest

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_LOOKS_NUMERIC = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,2000}")


class Origin(NamedTuple):
    """A server's address: `https`, `api.example.com`, 443. IPv6 hosts carry no brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Return what belongs into a Host header; the default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_base_url(url: str) -> tuple[Origin, bytes]:
    """Return the origin and the path prefix (no trailing slash, b"" for none) of a base URL.

    Anything two parsers could read differently is refused with InvalidRequest: user names,
    queries, fragments, backslashes, white space, non-ASCII hosts, zone ids, odd numeric hosts.
    """
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise InvalidRequest("the base URL holds characters that don't belong into a URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidRequest(f"the base URL can't be read: {error}") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise InvalidRequest("the base URL must begin with https:// or http://")
    _refuse_extras(url, parts)
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    if not 1 <= port <= 65535:
        raise InvalidRequest("the base URL's port is out of range")
    host = _checked_host(parts.hostname or "", bracketed="[" in parts.netloc)
    return Origin(parts.scheme, host, port), parts.path.rstrip("/").encode("ascii")


def _refuse_extras(url: str, parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise InvalidRequest("the base URL must not carry a user name or password")
    if "?" in url or "#" in url:
        raise InvalidRequest("the base URL must not carry a query or a fragment")
    if parts.netloc.endswith(":"):
        raise InvalidRequest("the base URL's port is empty")
    if not _PATH.fullmatch(parts.path):
        raise InvalidRequest("the base URL's path holds characters that must be encoded")


def _checked_host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        try:
            return str(ipaddress.IPv6Address(host if "%" not in host else ""))
        except ValueError:
            raise InvalidRequest("the base URL's IPv6 address can't be read") from None
    host = host.removesuffix(".")
    if len(host) > 253 or not _HOST_NAME.fullmatch(host):
        raise InvalidRequest("the base URL's host is not a host name")
    if _LOOKS_NUMERIC.fullmatch(host.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise InvalidRequest("the base URL's numeric host is not a dotted quad") from None
    return host
