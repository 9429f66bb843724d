"""The demo provider's payment page: what a buyer sees at a real gateway, with buttons to pretend.

Answers 404 unless the settings switch demo payments on. It speaks to the provider's side of the
books; the order learns of it by asking, as it would of a real one, which also calls when a bank
takes a payment back.
"""

from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods

from billing import orders
from billing.models import DemoCharge, Payment
from billing.payments import demo
from portal import amounts

_DEEDS = {"pay": demo.pay, "fail": demo.fail, "later": demo.pay_later}
_DEEDS_OF_A_BANK = {"dispute": demo.dispute, "win": demo.win, "lose": demo.lose}


@cache_control(private=True, no_store=True)
@require_http_methods(["GET", "HEAD", "POST"])
def demo_gateway(request: HttpRequest, payment_id: UUID) -> HttpResponse:
    """Show the page of a payment; do what its buttons say and lead back to the order."""
    if not settings.DEMO_PAYMENTS:
        raise Http404
    mine = Payment.objects.select_related("order").filter(provider="demo")
    payment = get_object_or_404(mine, public_id=payment_id)
    back = reverse("payment_return", args=[payment.public_id])
    if request.method == "POST" and _do(request.POST.get("deed", ""), payment):
        return HttpResponseRedirect(back, status=303)
    charge = DemoCharge.objects.filter(payment=payment, status=DemoCharge.PAID).first()
    context = {
        "payment": payment,
        "order": payment.order,
        "back": back,
        "dispute": charge and (charge.dispute or "none"),
        "sum": amounts.money(payment.amount_minor, payment.currency),
        "is_open": payment.status in (Payment.CREATED, Payment.PENDING),
    }
    return render(request, "portal/demo_gateway.html", context)


def _do(name: str, payment: Payment) -> bool:
    """Do what a button says; False for one that is not there."""
    deed = {**_DEEDS, **_DEEDS_OF_A_BANK}.get(name)
    if deed is not None:
        deed(payment)
    if name in _DEEDS_OF_A_BANK:
        orders.confirm(payment.pk)
    return deed is not None
