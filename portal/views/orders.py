"""The page of an order, behind its secret link; and the form that has the link mailed again.

GET shows and changes nothing, so that mail scanners and chat previews may open the link as often as
they like: a key is shown by the answer to a POST alone, which no cache may keep. The page tells
nobody where it is: its address is a secret.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import segno
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from kombu.exceptions import OperationalError

from billing import payments
from billing.errors import LimitReached, NotFound, StateInvalid
from billing.models import Delivery, Order
from billing.orders import deliveries, links, mailboxes
from portal import amounts, offers, order_page, paying, throttle
from portal.forms.lookup import LookupForm
from portal.lines import lines_of
from portal.middleware import page_policy
from portal.request import tenant_of, visitor_of
from portal.tasks import mail_order_link
from portal.views import errors

View = Callable[..., HttpResponse]

_WRONG_LINKS_PER_MINUTE = 30
_LOOKUPS_PER_TEN_MINUTES = 20
_REPLACEMENTS_PER_DAY = 5


def behind_link(view: View) -> View:
    """Find the order by its link for a view, or answer 404; keep the answer out of caches."""

    @wraps(view)
    def answer(request: HttpRequest, number: str, token: str, **rest: Any) -> HttpResponse:
        order = links.find(number=number, token=token)
        if order is not None:
            # Never refused for what others of the same network have tried: it can't be guessed.
            return _private(view(request, order, **rest))
        limit, visitor = _WRONG_LINKS_PER_MINUTE, visitor_of(request)
        if not throttle.allow("order link", visitor, limit=limit, per_s=60):
            return errors.too_many(request, after_s=60)
        raise Http404

    return answer


def by_post(view: View) -> View:
    """Send whoever opens the address of a deed back to the order: a GET does nothing."""

    @wraps(view)
    def answer(request: HttpRequest, order: Order, **rest: Any) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseRedirect(links.path_of(order))
        return view(request, order, **rest)

    return answer


@require_safe
@behind_link
def order(request: HttpRequest, order: Order) -> HttpResponse:
    """Show where the order stands."""
    return _page(request, paying.refreshed(order))


@require_safe
@behind_link
def order_status(request: HttpRequest, order: Order) -> JsonResponse:
    """Say whether the order was paid and delivered, for the script of the page that waits."""
    order = paying.refreshed(order)
    payment = paying.latest_payment(order)
    return JsonResponse(
        {
            "status": order.status,
            "delivery": order.delivery_status,
            "payment": payment.status if payment else "",
        }
    )


@require_safe
@behind_link
def order_qr(request: HttpRequest, order: Order) -> HttpResponse:
    """Draw the link of the order, so that a phone can go on; never a key."""
    return _drawn(request.build_absolute_uri(links.path_of(order)), border=0)


@require_safe
@behind_link
def payment_qr(request: HttpRequest, order: Order) -> HttpResponse:
    """Draw the code that the payment provider has given for a phone, as long as it can be paid."""
    text = paying.code_of(order, paying.latest_payment(order))
    if not text:
        raise Http404
    return _drawn(text, border=2)


def _drawn(text: str, *, border: int) -> HttpResponse:
    code = segno.make(text, error="m", micro=False)
    svg = BytesIO()
    code.save(
        svg, kind="svg", border=border, xmldecl=False, omitsize=True, svgclass=None, lineclass=None
    )
    return HttpResponse(svg.getvalue(), content_type="image/svg+xml")


@require_http_methods(["GET", "HEAD", "POST"])
@behind_link
def pay(request: HttpRequest, order: Order) -> HttpResponse:
    """Begin another try to pay, by the method that was chosen; lead to the one that has begun."""
    if request.method != "POST":
        return _hand_over(request, order)
    offered = {str(one.public_id): one for one in payments.offered(tenant_of(request))}
    chosen = offered.get(request.POST.get("payment", ""))
    if chosen is None:
        return HttpResponseRedirect(links.path_of(order), status=303)
    return paying.start(request, order, chosen)


def _hand_over(request: HttpRequest, order: Order) -> HttpResponse:
    payment = paying.hand_over(order)
    if payment is None:
        return HttpResponseRedirect(links.path_of(order))
    context = {
        "target": payment.redirect_url,
        "host": urlsplit(payment.redirect_url).hostname,
        "method": offers.paid_by(payment),
        "sum": amounts.money(payment.amount_minor, payment.currency),
        "order_path": links.path_of(order),
    }
    return render(request, "portal/hand_over.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@behind_link
@by_post
def reveal(request: HttpRequest, order: Order, delivery_id: UUID | None = None) -> HttpResponse:
    """Show one key, or all that can still be shown; this is the one answer that holds any."""
    chosen = [_delivery(order, delivery_id)] if delivery_id else _sealed(order)
    revealed = {}
    for delivery in chosen:
        try:
            revealed[delivery.pk] = deliveries.reveal(delivery)
        except NotFound:
            continue  # it was saved or replaced meanwhile, which the page then says
    if not revealed:
        return HttpResponseRedirect(links.path_of(order), status=303)
    return _page(request, order, revealed=revealed)


@require_http_methods(["GET", "HEAD", "POST"])
@behind_link
@by_post
def saved(request: HttpRequest, order: Order, delivery_id: UUID) -> HttpResponse:
    """Forget a key that its buyer has saved."""
    delivery = _delivery(order, delivery_id)
    with suppress(StateInvalid):  # nobody has seen it yet: the page offers to show it
        deliveries.confirm_saved(delivery)
    return HttpResponseRedirect(links.path_of(order), status=303)


@require_http_methods(["GET", "HEAD", "POST"])
@behind_link
@by_post
def replace(request: HttpRequest, order: Order, delivery_id: UUID) -> HttpResponse:
    """Make a new key with the old one's balance; the old one stops working."""
    delivery = _delivery(order, delivery_id)
    name = str(delivery.public_id)
    if not throttle.allow("replace key", name, limit=_REPLACEMENTS_PER_DAY, per_s=86_400):
        return errors.too_many(request, after_s=86_400)
    try:
        deliveries.replace_key(delivery)
    except LimitReached:
        return errors.too_many(request, after_s=86_400)
    except StateInvalid:
        pass  # the page says what became of the key
    return HttpResponseRedirect(links.path_of(order), status=303)


@require_http_methods(["GET", "HEAD", "POST"])
def look_up(request: HttpRequest) -> HttpResponse:
    """Have the link of an order mailed. Who asks learns nothing: the answer is always the same."""
    form = LookupForm(request.POST if request.method == "POST" else None, auto_id="%s")
    if request.method != "POST":
        return render(request, "portal/order_lookup.html", {"form": form})
    visitor = visitor_of(request)
    if not throttle.allow("look-up", visitor, limit=_LOOKUPS_PER_TEN_MINUTES, per_s=600):
        return errors.too_many(request, after_s=600)
    if not form.is_valid():
        return render(request, "portal/order_lookup.html", {"form": form}, status=400)
    _mail_link_soon(tenant_of(request).pk, **form.cleaned_data)
    return HttpResponseRedirect(reverse("order_link_sent"), status=303)


@require_safe
def link_sent(request: HttpRequest) -> HttpResponse:
    """Say that the link was mailed, if there is such an order."""
    return render(request, "portal/order_link_sent.html")


def _mail_link_soon(tenant_id: int, *, number: str, email: str) -> None:
    """Leave the looking to a job, so that the answer takes as long whatever there is to find."""
    wanted = {
        "tenant_id": tenant_id,
        "number": number,
        "mailbox": mailboxes.hash_of(email, tenant_id=tenant_id),
    }
    try:
        mail_order_link.apply_async(kwargs=wanted, expires=600, retry=False)
    except OperationalError:
        mail_order_link(**wanted)  # without a queue someone who waits is better served late


def _delivery(order: Order, delivery_id: UUID) -> Delivery:
    """Return a delivery of this order that holds a key."""
    mine = Delivery.objects.filter(line__order=order, line__key__isnull=True)
    return get_object_or_404(mine.select_related("key", "line"), public_id=delivery_id)


def _sealed(order: Order) -> list[Delivery]:
    mine = Delivery.objects.filter(line__order=order, sealed_key__isnull=False)
    return list(mine.select_related("key", "line").order_by("line_id", "index"))


def _page(
    request: HttpRequest, order: Order, *, revealed: Mapping[int, str] | None = None
) -> HttpResponse:
    shop = tenant_of(request)
    page = order_page.of(order, shop=shop, revealed=revealed)
    lines = lines_of(request)
    context = {
        "section": "buy",
        "page": page,
        "lines": lines,
        "path": links.path_of(order),
        "here": links.path_of(order),
        "what": offers.title(page.line),
        "how_long": offers.how_long(page.line),
        "example_model": order_page.example_model(page.line, shop=shop) if revealed else "",
    }
    response = render(request, "portal/order.html", context)
    if revealed:
        response["Content-Security-Policy"] = page_policy(connect=[one.base_url for one in lines])
    return response


def _private(response: HttpResponse) -> HttpResponse:
    """Keep an answer out of caches, search engines and other sites' referrers.

    `no-referrer` would make browsers send our own forms without an origin, which looks forged.
    """
    response["Cache-Control"] = "private, no-store"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Referrer-Policy"] = "strict-origin"
    return response
