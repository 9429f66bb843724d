"""Requests and answers carried from one dialect to another: bytes in, bytes out."""
