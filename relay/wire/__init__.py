"""Our HTTP/1.1 client for upstreams: small, strict, bounded. Only `relay/upstream.py` calls it.

How one call runs: `client.py` takes an idle connection from `pool.py` or has `dialing.py` open one
to an address that `addresses.py` has checked; `connection.py` writes the request and parses the
answer into an exchange (`exchange.py`), which the caller reads; `sweeper.py` ends what takes too
long. A reply's bytes belong to its exchange, never to the connection, so that a connection that
serves somebody else already can't hand out a stranger's reply.
"""
