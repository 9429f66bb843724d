"""Every address that Django's resolver knows, and how to fill it with the ids of a shop."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

from billing.models import (
    Delivery,
    LegalText,
    Order,
    Payment,
    PaymentInstance,
    PriceVersion,
    Product,
    Receipt,
    Tenant,
)
from billing.orders import links
from tests.cast import Account

Rows = Mapping[type[Any], Any]

_CONVERTER = re.compile(r"<(?:\w+:)?(\w+)>")
_GROUP = re.compile(r"\(\?P<(\w+)>[^)]*\)")
_VERBS = {"add", "delete"}


@dataclass(frozen=True)
class Place:
    """An address with names for what stands in it, as in `/admin/billing/wallet/{object_id}/`."""

    template: str

    @property
    def model(self) -> type[Model] | None:
        """The table that an admin page is about."""
        parts = self.template.split("/")
        if len(parts) < 5 or parts[2] not in apps.app_configs:
            return None
        return apps.get_model(parts[2], parts[3])

    @property
    def is_for_nobody(self) -> bool:
        """Tell whether the page adds or deletes what nobody may."""
        verb = self.template.rstrip("/").rpartition("/")[2]
        page: Any = admin.site._registry.get(self.model) if self.model else None
        return page is not None and verb in _VERBS and verb not in page.verbs

    def filled(self, rows: Rows) -> str:
        """Return the address with a row's id in it."""
        row = rows.get(self.model) if self.model else None
        key = str(row.pk) if row is not None else "1"
        values = {
            "object_id": key,
            "id": key,
            "app_label": "billing",
            "url": "billing/wallet",
            "rest": "v2/nothing",
            "guide": "chatbox",
            "model_name": rows[PriceVersion].model if PriceVersion in rows else "gpt-4",
            **_of_a_sale(rows),
            **_of_an_account(rows),
        }
        return self.template.format(**values)


def _of_a_sale(rows: Rows) -> dict[str, str]:
    """Return what stands in the addresses of buying."""
    order = rows[Order]
    return {
        "slug": rows[Product].slug,
        "trial": f"trial-of-{rows[Tenant].slug}",
        "number": order.number,
        "token": links.token_of(order),
        "receipt": rows[Receipt].number,
        "version": rows[LegalText].version,
        "delivery_id": str(rows[Delivery].public_id),
        "payment_id": str(rows[Payment].public_id),
        "account": str(rows[PaymentInstance].public_id),
    }


def _of_an_account(rows: Rows) -> dict[str, str]:
    """Return what stands in the addresses of an account."""
    account: Account = rows[Account]
    return {"kid": account.key.kid, "mail_id": account.mail_id, "proof": account.proof}


def places() -> list[Place]:
    """Return every address pattern there is."""
    return [Place(template) for template in _walk(get_resolver(), "/")]


def _walk(resolver: URLResolver, prefix: str) -> Iterator[str]:
    for entry in resolver.url_patterns:
        address = prefix + _template(str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from _walk(entry, address)
        elif isinstance(entry, URLPattern):
            yield address


def _template(pattern: str) -> str:
    text = _CONVERTER.sub(r"{\1}", _GROUP.sub(r"{\1}", pattern))
    return text.removeprefix("^").removesuffix("$").removesuffix("\\Z")
