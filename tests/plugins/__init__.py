"""Pytest plugins: what must be in place before settings are read, and the private PostgreSQL."""
