"""Empties the outbox: what is due is rendered and handed to the mail server. For the task.

Every mail is a try of its own. One that fails is tried again later by the outbox; after a broken
connection the next one gets a new connection. Nothing here holds a transaction while a server is
asked.
"""

import smtplib
from dataclasses import dataclass

import structlog
from django.core.mail import get_connection
from django.core.mail.backends.base import BaseEmailBackend

from billing import outbox
from billing.models import Mail
from billing.scoping import all_tenants, tenant_scope
from portal.mail.envelope import AddressInvalid, message_of
from portal.mail.letters import NothingToTell

BATCH = 20
_FOR_GOOD = 500
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Trouble:
    """Why a mail was not sent, in words without its address; a final one is not tried again."""

    reason: str
    is_final: bool = False


def deliver(limit: int = BATCH) -> int:
    """Send what is due, at most `limit` mails; return how many the mail server took."""
    with all_tenants():
        due = outbox.due(limit)
    if not due:
        return 0
    server, away, sent_count = get_connection(), None, 0
    try:
        for mail in due:
            away = away or _away(server)
            sent_count += _settle(mail, away or _try(mail, server))
    finally:
        server.close()
    return sent_count


def _away(server: BaseEmailBackend) -> Trouble | None:
    """Connect, unless that has been done; return why it can't be, if it can't."""
    try:
        server.open()
    except (smtplib.SMTPException, OSError) as error:
        return Trouble(_told(error))
    return None


def _try(mail: Mail, server: BaseEmailBackend) -> Trouble | None:
    """Write one mail and hand it over; return what went wrong, if anything did."""
    try:
        with tenant_scope(mail.tenant_id):
            message = message_of(mail)
            message.message()  # refuses what no header may hold
    except (NothingToTell, AddressInvalid) as reason:
        return Trouble(str(reason), is_final=True)
    # A letter that can't be written, for whatever reason, must not keep the others back.
    except Exception as error:
        _log.exception("mail_not_written", mail=mail.pk, kind=mail.kind)
        return Trouble(f"not written: {type(error).__name__}")
    try:
        server.send_messages([message])
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        return Trouble(_without(mail, f"{code} {_words(text)}"), is_final=code >= _FOR_GOOD)
    except (smtplib.SMTPException, OSError) as error:
        server.close()
        return Trouble(_without(mail, _told(error)))
    return None


def _settle(mail: Mail, trouble: Trouble | None) -> bool:
    """Note how a try ended; return whether the mail is sent."""
    with tenant_scope(mail.tenant_id):
        if trouble is None:
            outbox.sent(mail)
            return True
        _log.warning("mail_failed", mail=mail.pk, kind=mail.kind, reason=trouble.reason)
        outbox.failed(mail, trouble.reason, is_final=trouble.is_final)
        return False


def _told(error: Exception) -> str:
    """Return what the server said, or what went wrong on the way to it."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_words(error.smtp_error)}"
    return f"{type(error).__name__}: {error}"


def _words(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _without(mail: Mail, text: str) -> str:
    """Return what a server said without the address that it likes to repeat."""
    return text.replace(mail.recipient, "(address)")
