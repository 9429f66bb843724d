"""Two shops: every address x every method x everyone of one shop, armed with the other's ids.

No byte of the other shop may come back and none of its rows may change. The walk fails for an
address that its rightful owner did not reach as well, so a new page can't slip through unseen.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from billing.models import (
    Announcement,
    Domain,
    LegalText,
    Mail,
    Member,
    Order,
    Payment,
    PaymentInstance,
    PriceBook,
    PriceVersion,
    Product,
    ReconcileRun,
    Refund,
    Tenant,
    User,
    Wallet,
)
from relay.models import Channel, ChannelCredential, ChannelModel
from tests.cast import Account, Shop, enrol, say, sell, stock
from tests.security.books import everything_of, rows_written
from tests.security.places import Place, Rows, places

pytestmark = [
    pytest.mark.usefixtures("fresh_throttles"),
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume"),
]

Browser = Callable[..., Client]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
FORM = "application/x-www-form-urlencoded"
CANARY = b"south"

# How the rightful owner reaches an address that a plain GET by an operator does not open.
OWN_WAYS: dict[str, tuple[str, str, int]] = {
    "/language/": ("POST", "language=en", 302),
    "/favicon.ico": ("GET", "", 302),
    "/admin/login/": ("GET", "", 302),
    "/admin/logout/": ("POST", "", 200),
    "/admin/autocomplete/": (
        "GET",
        "app_label=billing&model_name=member&field_name=user&term=owner",
        200,
    ),
    "/admin/{url}": ("GET", "", 301),
    # Nothing of the sale waits for money that is sent by hand.
    "/admin/billing/order/{object_id}/arrived/": ("GET", "", 302),
    "/admin/billing/payment/{object_id}/arrived/": ("GET", "", 302),
    "/orders/{number}/{token}/pay/": ("POST", "", 303),
    "/orders/{number}/{token}/pay.svg": ("GET", "", 404),  # of the demo provider, which has no code
    "/orders/{number}/{token}/reveal/": ("POST", "", 200),
    "/orders/{number}/{token}/reveal/{delivery_id}/": ("POST", "", 200),
    "/orders/{number}/{token}/saved/{delivery_id}/": ("POST", "", 303),
    "/orders/{number}/{token}/replace/{delivery_id}/": ("POST", "", 303),
    "/pay/{account}/notify/": ("POST", "", 404),  # of the demo provider, which never calls
    "/privacy/versions/{version}/": ("GET", "", 404),  # the shop's own text is its agreement
    "/usage/": ("GET", "", 303),
    "/usage/key/receipts/{receipt}/": ("GET", "", 404),  # it is of another wallet of the shop
    "/usage/leave/": ("POST", "", 303),
    "/usage/key/top-up/": ("POST", "", 303),
    "/usage/key/redeem/": ("POST", "", 303),
    "/usage/key/replace/": ("POST", "", 303),
    "/usage/key/name/": ("POST", f"name={'x' * 40}", 400),
    "/usage/key/alert/": ("POST", "below=none", 400),
    "/account/sign-in/": ("GET", "", 303),
    "/account/sign-out/": ("POST", "", 303),
    "/account/top-up/": ("POST", "", 303),
    "/account/redeem/": ("POST", "", 303),
    "/account/keys/{kid}/switch/": ("POST", "is_on=0", 303),
    "/account/keys/{kid}/replace/": ("POST", "overlap_s=0", 200),
    "/account/keys/{kid}/revoke/": ("POST", "", 303),
    "/account/keys/{kid}/calls/": ("POST", "", 303),
    "/api/": ("GET", "", 302),
    "/api/docs": ("GET", "", 302),
    "/api/{rest}": ("GET", "", 404),
}
REDIRECT_TO_CHANGE = "/{object_id}/"
FOR_KEYS = "/api/v1/"
FOR_WHO_HAS_SHOWN_A_KEY = "/usage/"
FOR_WHO_IS_SIGNED_IN = "/account/"
THE_LINK_ITSELF = "/account/sign-in/{mail_id}/{proof}/"


@pytest.fixture
def rows(north: Shop, south: Shop) -> tuple[Rows, Rows]:
    """One row of every table for each shop."""
    now = timezone.now()
    run = ReconcileRun.objects.create(
        started_at=now, finished_at=now, wallet_count=0, finding_count=0
    )
    mine, theirs = ({**everything_in(shop), ReconcileRun: run} for shop in (north, south))
    return mine, theirs


def everything_in(shop: Shop) -> dict[type[Any], Any]:
    """Give a shop a row of every table that a page shows."""
    sale = sell(shop)
    return {**stock(shop), **sale, **say(shop, sale[Payment]), Account: enrol(shop)}


@pytest.mark.parametrize("who", ["nobody", "key", "owner"])
def test_nothing_of_another_shop_is_shown_or_changed(
    north: Shop, south: Shop, rows: tuple[Rows, Rows], browser: Browser, who: str
) -> None:
    mine, theirs = rows
    before = everything_of(south.tenant)
    for place in places():
        with taken_back():
            visitor = visitor_of(north, browser, who)
            if who == "key":
                let_in(visitor, north, place, mine)
            untouched = rows_written()
            for method in METHODS:
                attack(visitor, method, place.filled(theirs), theirs, south)
            attack(visitor, "POST", place.filled(mine), theirs, south)
            attack(visitor, "GET", place.filled(mine), theirs, south)
            assert rows_written() == untouched or everything_of(south.tenant) == before, place


def test_an_operator_sees_one_shop_on_its_own_pages(
    north: Shop, south: Shop, rows: tuple[Rows, Rows], operator: User, browser: Browser
) -> None:
    visitor = browser(north.host, operator)
    before = everything_of(south.tenant)
    for place in places():
        if not place.template.startswith("/admin/"):
            for method in METHODS:
                attack(visitor, method, place.filled(rows[1]), rows[1], south)
    assert everything_of(south.tenant) == before


def test_every_address_is_open_to_its_rightful_owner(
    south: Shop, rows: tuple[Rows, Rows], operator: User, browser: Browser
) -> None:
    unreached = []
    for place in places():
        with taken_back():
            visitor = browser(south.host, operator)
            if place.template.startswith(FOR_KEYS):
                visitor = visitor_of(south, browser, "key")
            let_in(visitor, south, place, rows[1])
            if not reached(place, rows[1], visitor):
                unreached.append(place.template)
    assert not unreached


def test_the_canary_is_where_the_owner_looks(
    south: Shop, north: Shop, rows: tuple[Rows, Rows], browser: Browser
) -> None:
    visitor = browser(south.host, south.owner)
    shop = (Tenant, Domain, Member, Announcement, LegalText, PaymentInstance)
    sales = (Product, Order, Payment, Refund, Mail, Wallet)
    for model in (*shop, *sales, Channel, PriceVersion, PriceBook):
        place = Place(f"/admin/{model._meta.app_label}/{model._meta.model_name}/")
        answer = visitor.get(place.filled(rows[1]))
        assert answer.status_code == 200
        assert CANARY in answer.content.lower()


def reached(place: Place, own: Rows, visitor: Client) -> bool:
    """Tell whether an address opens to its owner, or is closed to everyone as it should be."""
    address = place.filled(own)
    if place.is_for_nobody:
        return visitor.get(address).status_code == 403
    method, sent, expected = OWN_WAYS.get(place.template, ("GET", "", 200))
    if place.model and place.template.endswith(REDIRECT_TO_CHANGE):
        expected = 302
    if method == "GET":
        return visitor.get(f"{address}?{sent}").status_code == expected
    return visitor.generic(method, address, sent, content_type=FORM).status_code == expected


def visitor_of(shop: Shop, browser: Browser, who: str) -> Client:
    """Return someone who may come to a shop's host, without or with a role in it."""
    visitor = browser(shop.host, shop.owner if who == "owner" else None)
    if who == "key":
        visitor.defaults["HTTP_AUTHORIZATION"] = f"Bearer {shop.plaintext}"
    return visitor


def let_in(visitor: Client, shop: Shop, place: Place, own: Rows) -> None:
    """Show a shop's key, or sign in, where a browser must have done so, and nowhere else."""
    if place.template.startswith(FOR_WHO_HAS_SHOWN_A_KEY):
        assert visitor.post("/usage/", {"key": shop.plaintext}).status_code == 303
    if place.template.startswith(FOR_WHO_IS_SIGNED_IN) and place.template != THE_LINK_ITSELF:
        assert visitor.post(own[Account].path).status_code == 303


def heard_in(answer: Any) -> bytes:
    """Return the body of an answer, also of one that is streamed."""
    return b"".join(answer) if answer.streaming else bytes(answer.content)


def attack(visitor: Client, method: str, address: str, theirs: Rows, south: Shop) -> None:
    """Send a request full of the other shop's ids; nothing of that shop may come back."""
    fields = weapons(theirs)
    query = {**fields, "q": str(theirs[Wallet].pk), "next": "https://evil.example/"}
    headers = {"x-forwarded-host": south.host, "x-tenant": str(south.tenant.pk)}
    answer = visitor.generic(
        method,
        f"{address}?{urlencode(query)}",
        "" if method in ("GET", "HEAD") else urlencode(fields),
        content_type=FORM,
        headers=headers,
    )
    body = heard_in(answer)
    heard = body.lower() + repr(dict(answer.headers)).lower().encode()
    assert CANARY not in heard, f"{method} {address} answers {answer.status_code}"
    assert south.key.kid.encode() not in body, f"{method} {address}"
    assert answer.status_code < 500, f"{method} {address}"
    assert re.match(r"/(?!/)", answer.headers.get("location", "/")), f"{method} {address}"


def weapons(theirs: Rows) -> dict[str, str]:
    """Return form fields that name the other shop's rows in every way that a form has."""
    tenant, channel = theirs[Tenant], theirs[Channel]
    ids = {
        "tenant": tenant.pk,
        "tenant__id__exact": tenant.pk,
        "wallet": theirs[Wallet].pk,
        "wallet__id__exact": theirs[Wallet].pk,
        "channel": channel.pk,
        "book": theirs[PriceBook].pk,
        "version": theirs[PriceVersion].pk,
        "user": theirs[User].pk,
        "owner": theirs[User].pk,
        "id": theirs[Wallet].pk,
        "object_id": theirs[Wallet].pk,
        "product": theirs[Product].pk,
        "products": theirs[Product].pk,
        "shop": tenant.pk,
        "_selected_action": theirs[Domain].pk,
    }
    deeds = {"action": "delete_selected", "post": "yes", "select_across": "1", "_save": "1"}
    values = {
        "name": "taken over",
        "status": "disabled",
        "hostname": "taken.example",
        "model": "gpt-4",
        "input": "0",
        "amount_ubt": "1",
        "amount_minor": "1",
        "count": "1",
        "reason": "mine",
        "once": "01890a5d-ac96-774b-bcce-b302099a8057",
    }
    inlines = {
        **inline("domains", id=theirs[Domain].pk, tenant=tenant.pk, hostname="taken.example"),
        **inline("members", id=theirs[Member].pk, tenant=tenant.pk, role="owner"),
        **inline("models", id=theirs[ChannelModel].pk, channel=channel.pk, asked="x", served="x"),
        **inline("credentials", id=theirs[ChannelCredential].pk, channel=channel.pk, DELETE="on"),
    }
    return {name: str(value) for name, value in {**ids, **deeds, **values, **inlines}.items()}


def inline(prefix: str, **fields: Any) -> dict[str, Any]:
    """Return the fields of one row in a form of rows."""
    row = {f"{prefix}-0-{name}": value for name, value in fields.items()}
    return {f"{prefix}-TOTAL_FORMS": 1, f"{prefix}-INITIAL_FORMS": 1, **row}


@contextmanager
def taken_back() -> Iterator[None]:
    """Undo what the requests have written."""
    point = transaction.savepoint()
    yield
    transaction.savepoint_rollback(point)
