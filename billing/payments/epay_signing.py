"""How messages of an epay gateway are signed: V1 by MD5 and a shared key, V2 by RSA. Pure.

Called by `billing.payments.epay`. The text that is signed is the same in both: all fields but
`sign`, `sign_type` and those that are blank or lists, sorted by name, joined without any encoding.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

_UNSIGNED = frozenset({"sign", "sign_type"})
_BLANK = " \t\n\r\0\x0b"
_LEAST_RSA_BITS = 2048


class Signing(Protocol):
    """One way to sign; `sign_type` is its name in messages."""

    sign_type: str

    def sign(self, fields: Mapping[str, object]) -> str:
        """Return the signature of what we send."""

    def verify(self, fields: Mapping[str, object]) -> bool:
        """Tell whether the gateway has signed these fields, by their `sign`."""


class Md5Signing:
    """V1: both sides have the same key. Raises ValueError for an empty one."""

    sign_type = "MD5"

    def __init__(self, key: str) -> None:
        if not key.strip(_BLANK):
            raise ValueError("A key that is empty signs nothing.")
        self._key = key

    def sign(self, fields: Mapping[str, object]) -> str:
        """Return the signature as 32 lower-case hex digits."""
        plain = text_to_sign(fields) + self._key
        return hashlib.md5(plain.encode(), usedforsecurity=False).hexdigest()

    def verify(self, fields: Mapping[str, object]) -> bool:
        """Compare in constant time."""
        given = fields.get("sign")
        if not isinstance(given, str):
            return False
        return hmac.compare_digest(given.encode(), self.sign(fields).encode())


class RsaSigning:
    """V2: each side has a key of its own. Keys are base64 of DER; raises ValueError for others."""

    sign_type = "RSA"

    def __init__(self, *, private_key: str, gateway_key: str) -> None:
        self._ours = _private_key(private_key)
        self._theirs = _public_key(gateway_key)

    def sign(self, fields: Mapping[str, object]) -> str:
        """Return the signature by our private key as base64."""
        signature = self._ours.sign(text_to_sign(fields).encode(), PKCS1v15(), SHA256())
        return base64.b64encode(signature).decode()

    def verify(self, fields: Mapping[str, object]) -> bool:
        """Verify by the gateway's public key."""
        given = fields.get("sign")
        if not isinstance(given, str):
            return False
        try:
            signature = base64.b64decode(given, validate=True)
            self._theirs.verify(signature, text_to_sign(fields).encode(), PKCS1v15(), SHA256())
        except (binascii.Error, ValueError, InvalidSignature):
            return False
        return True


def text_to_sign(fields: Mapping[str, object]) -> str:
    """Return the text that is signed. Numbers are given as their text; true counts as 1."""
    plain = {name: _plain(value) for name, value in fields.items() if name not in _UNSIGNED}
    signed = sorted((name, value) for name, value in plain.items() if value.strip(_BLANK))
    return "&".join(f"{name}={value}" for name, value in signed)


def _plain(value: object) -> str:
    """Return a value as gateways join it to a text; what has no such form counts as blank."""
    if isinstance(value, bool):
        return "1" if value else ""
    return str(value) if isinstance(value, str | int) else ""


# Loading checks a private key, which takes a tenth of a second.
@lru_cache(maxsize=64)
def _private_key(text: str) -> RSAPrivateKey:
    try:
        key = load_der_private_key(base64.b64decode(text, validate=True), password=None)
    except (TypeError, UnsupportedAlgorithm, ValueError):
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _LEAST_RSA_BITS:
        raise ValueError("The private key is not an RSA key in base64.")
    return key


@lru_cache(maxsize=64)
def _public_key(text: str) -> RSAPublicKey:
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (UnsupportedAlgorithm, ValueError):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < _LEAST_RSA_BITS:
        raise ValueError("The gateway's key is not an RSA key in base64.")
    return key
