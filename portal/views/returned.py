"""Where a provider sends a buyer back to. What comes along with the visit is never looked at."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from billing.models import Payment
from billing.orders import links
from portal import returning


@csrf_exempt
@cache_control(private=True, no_store=True)
@require_http_methods(["GET", "HEAD", "POST"])
def returned(request: HttpRequest, payment_id: UUID) -> HttpResponse:
    """Lead the browser that pays to its order; tell any other one where the link is."""
    payment = get_object_or_404(Payment.objects.select_related("order"), public_id=payment_id)
    if returning.is_payer(request, payment):
        return HttpResponseRedirect(links.path_of(payment.order), status=303)
    return render(request, "portal/returned.html")
