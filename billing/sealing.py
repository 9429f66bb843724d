"""Secrets at rest: AES-256-GCM under versioned keys from the settings. For channels and deliveries.

A sealed secret is bound to its context ("channel:7"), so it can't be moved to another row and
opened there. Layout: format (1 byte), key version (2), nonce (12), cipher text with its tag.
"""

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from billing.errors import SealBroken

_FORMAT = b"\x01"
_NONCE_BYTES = 12
_HEADER_BYTES = 3


def seal(plain: bytes, *, context: str) -> bytes:
    """Encrypt a secret for one context under the newest key."""
    versions = read_versions(settings.SEALING_KEYS)
    version = max(versions)
    header = _FORMAT + version.to_bytes(2, "big")
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(versions[version]).encrypt(nonce, plain, header + context.encode())
    return header + nonce + sealed


def unseal(sealed: bytes | memoryview, *, context: str) -> bytes:
    """Decrypt what `seal` made for the same context.

    Raises SealBroken if it was changed or moved, or if the key of its version is gone.
    """
    sealed = bytes(sealed)
    header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
    key = read_versions(settings.SEALING_KEYS).get(int.from_bytes(header[1:], "big"))
    if header[:1] != _FORMAT or key is None:
        raise SealBroken(f"The key that sealed {context} is not among the sealing keys.")
    nonce, cipher_text = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, cipher_text, header + context.encode())
    except (InvalidTag, ValueError):
        raise SealBroken(f"The sealed secret of {context} was changed or moved.") from None


@lru_cache(maxsize=8)
def read_versions(setting: str) -> dict[int, bytes]:
    """Return the secrets of a setting like `1:<64 hex>,2:<64 hex>` by version."""
    entries = (entry.strip().partition(":") for entry in setting.split(","))
    return {int(version): bytes.fromhex(secret) for version, _, secret in entries}
