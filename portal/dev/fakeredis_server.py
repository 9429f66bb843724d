"""Stands in for Valkey where there is no binary: `python -m portal.dev.fakeredis_server PORT`.

Started by `valkey.py`. It forgets everything when it stops, which is allowed: nothing of
value lives in Valkey.
"""

import sys

from fakeredis import TcpFakeServer


def main() -> None:
    """Serve on loopback until killed."""
    with TcpFakeServer(("127.0.0.1", int(sys.argv[1])), server_type="valkey") as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
