"""What the relay is told by its environment, as one value. Made once at start-up by `asgi.py`."""

import ipaddress
import os
import socket
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.db import connection

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and periods of one relay process; seconds and bytes say so in their names."""

    owner: str
    database: dict[str, Any]
    state_dir: Path
    address_salt: bytes
    heartbeat_period_s: float = 15.0
    snapshot_period_s: float = 0.5
    drain_s: float = 20.0
    receive_s: float = 60.0
    stalled_reader_s: float = 120.0
    keepalive_s: float = 0.0
    max_body_bytes: int = 10 * 1024 * 1024
    max_upload_bytes: int = 27 * 1024 * 1024
    max_answer_bytes: int = 64 * 1024 * 1024
    max_in_flight: int = 2_000
    max_bodies_bytes: int = 256 * 1024 * 1024
    cached_keys: int = 50_000
    redis_url: str = ""
    limits_patience_s: float = 0.05
    trusted_proxies: tuple[Network, ...] = ()
    owns_process: bool = True
    """Whether the process is the relay's: its garbage collector to set, and its to end."""

    def __repr__(self) -> str:
        return f"Options(owner={self.owner!r})"


def from_settings() -> Options:
    """Return the options of this process."""
    host = socket.gethostname()[:20]
    return Options(
        owner=f"{host}:{os.getpid()}"[:32],
        database=dict(connection.settings_dict),
        state_dir=Path(settings.STATE_DIR),
        address_salt=blake2b(
            settings.SECRET_KEY.encode(), digest_size=32, person=b"relay-address"
        ).digest(),
        heartbeat_period_s=settings.HEARTBEAT_PERIOD_S,
        snapshot_period_s=settings.SNAPSHOT_PERIOD_S,
        drain_s=settings.DRAIN_S,
        receive_s=settings.RECEIVE_S,
        stalled_reader_s=settings.STALLED_READER_S,
        keepalive_s=settings.KEEPALIVE_S,
        max_body_bytes=settings.MAX_BODY_BYTES,
        max_upload_bytes=settings.MAX_UPLOAD_BYTES,
        max_in_flight=settings.MAX_IN_FLIGHT,
        max_bodies_bytes=settings.MAX_BODIES_MB * 1024 * 1024,
        redis_url=settings.REDIS_URL,
        trusted_proxies=tuple(ipaddress.ip_network(entry) for entry in settings.TRUSTED_PROXIES),
    )
