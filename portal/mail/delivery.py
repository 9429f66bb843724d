"""Empties the outbox: what is due is rendered and handed to the mail server. For the task.

Every mail is a try of its own. One that fails is tried again later by the outbox; after a broken
connection the next one gets a new connection. Nothing here holds a transaction while a server is
asked.
"""

import smtplib

import structlog
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend

from billing import outbox
from billing.models import Mail
from billing.scoping import all_tenants, tenant_scope
from portal.mail.envelope import message_of
from portal.mail.letters import NothingToTell

BATCH = 20
_log = structlog.get_logger(__name__)


def deliver(limit: int = BATCH) -> int:
    """Send what is due, at most `limit` mails; return how many the mail server took."""
    with all_tenants():
        due = outbox.due(limit)
    if not due:
        return 0
    server, away, sent_count = get_connection(), "", 0
    try:
        for mail in due:
            away = away or _away(server)
            sent_count += _settle(mail, away or _try(mail, server))
    finally:
        server.close()
    return sent_count


def _away(server: BaseEmailBackend) -> str:
    """Connect, unless that has been done; return why it can't be, if it can't."""
    try:
        server.open()
    except (smtplib.SMTPException, OSError) as error:
        return _told(error)
    return ""


def _try(mail: Mail, server: BaseEmailBackend) -> str:
    """Write one mail and hand it over; return why that failed, or ""."""
    try:
        with tenant_scope(mail.tenant_id):
            message = message_of(mail)
    except NothingToTell as reason:
        return str(reason)
    # A letter that can't be written, for whatever reason, must not keep the others back.
    except Exception as error:
        _log.exception("mail_not_written", mail=mail.pk, kind=mail.kind)
        return f"not written: {type(error).__name__}"
    try:
        server.send_messages([message])
    except (smtplib.SMTPException, OSError, ValueError) as error:
        server.close()
        return _told(error).replace(mail.recipient, "(address)")
    return ""


def _settle(mail: Mail, problem: str) -> bool:
    """Note how a try ended; return whether the mail is sent."""
    with tenant_scope(mail.tenant_id):
        if not problem:
            outbox.sent(mail)
            return True
        _log.warning("mail_failed", mail=mail.pk, kind=mail.kind, problem=problem)
        outbox.failed(mail, problem)
        return False


def _told(error: Exception) -> str:
    """Return what the server said, or what went wrong on the way to it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return f"{code} {_words(text)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_words(error.smtp_error)}"
    return f"{type(error).__name__}: {error}"


def _words(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
