"""Hostnames in their one stored form. Pure; called by tenants and the Domain model."""

import ipaddress
import re

from billing.errors import FieldInvalid

_is_hostname = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
).fullmatch
_deviates = re.compile("[\u00df\u03c2\u200c\u200d]").search
"""What Python's codec maps to other names than browsers do: ß, final sigma, invisible joiners."""

_split_host = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^:\[\]]{1,254})(?::[0-9]{1,5})?").fullmatch


def hostname(host: str) -> str:
    """Return the name in a Host header or a command's --host as it is stored.

    Lower case, without port and trailing dot, international names in their ASCII form, IPv6
    addresses compressed and without brackets. Raises FieldInvalid.
    """
    found = _split_host(host.strip())
    if found is None:
        raise FieldInvalid(f"{host!r} is not a hostname.")
    name = found[1].strip("[]").lower().removesuffix(".")
    try:
        return ipaddress.ip_address(name).compressed
    except ValueError:
        pass
    if _deviates(name):
        raise FieldInvalid(
            f"The hostname {host!r} must be given as browsers send it, in xn-- form."
        )
    try:
        name = name.encode("idna").decode()
    except UnicodeError:
        raise FieldInvalid(f"{host!r} is not a hostname.") from None
    if found[1].startswith("[") or not _is_hostname(name):
        raise FieldInvalid(f"{host!r} is not a hostname.")
    return name
