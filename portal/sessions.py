"""Sessions in the database, found by what can be the key of one alone. Named in the settings."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """Django's own, which would ask PostgreSQL for any text that a cookie holds, NUL included."""

    def _validate_session_key(self, key: str) -> bool:
        is_key: bool = super()._validate_session_key(key)  # type: ignore[misc]  # not in the stubs
        return is_key and key.isascii() and key.isalnum()
