"""The demo provider's payment page: what a buyer sees at a real gateway, with buttons to pretend.

Answers 404 unless the settings switch demo payments on. It speaks to the provider's side of the
books alone; the order learns of it by asking, as it would of a real one.
"""

from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods

from billing.models import Payment
from billing.orders import links
from billing.payments import demo
from portal import amounts

_DEEDS = {"pay": demo.pay, "fail": demo.fail, "later": demo.pay_later}


@cache_control(private=True, no_store=True)
@require_http_methods(["GET", "HEAD", "POST"])
def demo_gateway(request: HttpRequest, payment_id: UUID) -> HttpResponse:
    """Show the page of a payment; do what its buttons say and lead back to the order."""
    if not settings.DEMO_PAYMENTS:
        raise Http404
    mine = Payment.objects.select_related("order").filter(provider="demo")
    payment = get_object_or_404(mine, public_id=payment_id)
    deed = _DEEDS.get(request.POST.get("deed", "")) if request.method == "POST" else None
    if deed is not None:
        deed(payment)
        return HttpResponseRedirect(links.path_of(payment.order), status=303)
    context = {
        "payment": payment,
        "order": payment.order,
        "order_path": links.path_of(payment.order),
        "sum": amounts.money(payment.amount_minor, payment.currency),
        "is_open": payment.status in (Payment.CREATED, Payment.PENDING),
    }
    return render(request, "portal/demo_gateway.html", context, status=200)
