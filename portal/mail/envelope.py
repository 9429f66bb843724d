"""A letter as a mail: both forms of its text, the headers, the shop as its sender. For `delivery`.

The Message-ID is derived from the outbox's row. A mail that was sent and then lost by us, because
a crash came before it was noted, is sent again under the same id, so that mail programs and people
see that it is the same one.
"""

import hashlib
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.utils import timezone, translation

from billing.models import Mail, Tenant
from portal import links
from portal.mail import letters

_BRAND = {"light": "#4f46e5", "dark": "#8b8cff"}


class AddressInvalid(Exception):
    """No mail can be sent to an address like this."""


def message_of(mail: Mail) -> EmailMultiAlternatives:
    """Return the mail, rendered in its language and its shop's time zone. In the shop's scope.

    Raises NothingToTell, AddressInvalid.
    """
    shop = mail.tenant
    language = mail.language if mail.language in dict(settings.LANGUAGES) else shop.language
    with translation.override(language), timezone.override(ZoneInfo(shop.time_zone)):
        letter = letters.write(mail, shop)
        words = {
            "letter": letter,
            "shop": shop,
            "home": links.origin_of(shop),
            "language": "zh-Hans" if language == "zh-hans" else language,
            "brand": {
                "light": shop.brand_light or _BRAND["light"],
                "dark": shop.brand_dark or _BRAND["dark"],
            },
        }
        text = render_to_string("mail/letter.txt", words)
        html = render_to_string("mail/letter.html", words)
    message = EmailMultiAlternatives(
        subject=one_line(letter.subject),
        body=text,
        from_email=sender_of(shop),
        to=[_checked(mail.recipient)],
        reply_to=[shop.contact_email] if shop.contact_email else None,
        headers=_headers(mail, shop),
    )
    message.attach_alternative(html, "text/html")
    return message


def sender_of(shop: Tenant) -> str:
    """Return the address that the installation sends from, under the name of the shop."""
    name = one_line(shop.name).replace("\\", "").replace('"', "'")
    return f'"{name}" <{settings.DEFAULT_FROM_EMAIL}>'


def one_line(text: str) -> str:
    """Return the text as a header may hold it: no line ends, no control characters."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def message_id(mail: Mail, host: str) -> str:
    """Return the id that every try to send this mail has."""
    row = f"{mail.tenant_id}:{mail.pk}:{mail.once}"
    digest = hashlib.blake2b(row.encode(), digest_size=16, person=b"mail").hexdigest()
    return f"<{digest}@{host}>"


def _headers(mail: Mail, shop: Tenant) -> dict[str, str]:
    host = links.host_of(shop)
    purpose = "notices" if mail.kind in letters.NOTICES else "orders"
    return {
        "Message-ID": message_id(mail, host),
        "List-Id": f"<{purpose}.{host}>",
        # Out-of-office programs answer neither of these.
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }


def _checked(address: str) -> str:
    try:
        validate_email(address)
    except ValidationError:
        raise AddressInvalid("the address is not one that mail can be sent to") from None
    return address
