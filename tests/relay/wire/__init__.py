"""Tests of relay/wire and relay/upstream.py, on asyncio and on uvloop."""
