"""How the fake signs: written apart from the code that it tests, RSA by plain arithmetic."""

import hashlib
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

Fields = dict[str, Any]

_BITS = 2048
_SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


class KeyPair:
    """An RSA key; `private` and `public` are what a merchant's page shows of it."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(65537, _BITS)
        numbers = key.private_numbers()
        self.n, self.p, self.q = numbers.p * numbers.q, numbers.p, numbers.q
        self.d = numbers.d
        self.private = b64encode(
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        ).decode()
        self.public = b64encode(
            key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).decode()


@lru_cache(maxsize=8)
def key_pair(owner: str) -> KeyPair:
    """Return the key of somebody, the same in a whole run: making one takes a while."""
    return KeyPair()


def _padded(text: str) -> int:
    digest = _SHA256_PREFIX + hashlib.sha256(text.encode()).digest()
    return int.from_bytes(b"\0\1" + b"\xff" * (_BITS // 8 - 3 - len(digest)) + b"\0" + digest)


def rsa_sign(pair: KeyPair, text: str) -> str:
    """Sign as RSA-SHA256 with PKCS#1 v1.5, by plain arithmetic."""
    return b64encode(_power(pair, _padded(text)).to_bytes(_BITS // 8)).decode()


def _power(pair: KeyPair, base: int) -> int:
    """Raise to the private exponent by the Chinese remainder theorem, four times as fast."""
    by_p = pow(base, pair.d % (pair.p - 1), pair.p)
    by_q = pow(base, pair.d % (pair.q - 1), pair.q)
    return by_q + pair.q * ((by_p - by_q) * pow(pair.q, -1, pair.p) % pair.p)


def rsa_verify(pair: KeyPair, text: str, signature: str) -> bool:
    """Verify the same."""
    return pow(int.from_bytes(b64decode(signature)), 65537, pair.n) == _padded(text)


def joined(fields: Fields) -> str:
    """Return what is signed of a message."""
    parts = []
    for name in sorted(fields):
        value = fields[name]
        if name in ("sign", "sign_type") or value is None or isinstance(value, list | dict):
            continue
        if str(value).strip():
            parts.append(f"{name}={value}")
    return "&".join(parts)


def md5_sign(key: str, fields: Fields) -> str:
    """Sign as V1 does."""
    return hashlib.md5(f"{joined(fields)}{key}".encode(), usedforsecurity=False).hexdigest()
