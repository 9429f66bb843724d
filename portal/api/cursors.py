"""Cursors: where a script reads on. Opaque, and good for the key and filters they were made for.

The last row's id with a MAC over it, the key and the filters: a cursor that was changed, or is used
with another key or other filters, is none.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from uuid import UUID

from django.conf import settings

_ID_BYTES, _MAC_BYTES = 16, 14
LENGTH = (_ID_BYTES + _MAC_BYTES) * 4 // 3


def write(last: UUID, *, key_id: int, filters: Mapping[str, str]) -> str:
    """Return a cursor behind a row."""
    return urlsafe_b64encode(last.bytes + _mac(last, key_id, filters)).decode()


def read(text: str, *, key_id: int, filters: Mapping[str, str]) -> UUID | None:
    """Return the row that a cursor is behind, None if it is not a cursor of ours for these."""
    if len(text) != LENGTH:
        return None
    try:
        content = urlsafe_b64decode(text)
    except ValueError:
        return None
    if len(content) != _ID_BYTES + _MAC_BYTES:
        return None
    last = UUID(bytes=content[:_ID_BYTES])
    expected = _mac(last, key_id, filters)
    return last if hmac.compare_digest(content[_ID_BYTES:], expected) else None


def _mac(last: UUID, key_id: int, filters: Mapping[str, str]) -> bytes:
    said = repr((last.bytes, key_id, sorted(filters.items()))).encode()
    secret = f"api-cursor:{settings.SECRET_KEY}".encode()
    return hmac.digest(secret, said, sha256)[:_MAC_BYTES]
