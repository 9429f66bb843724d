"""What payment providers say by themselves: noted once, then the payment is asked for.

Called by the page at an account's notify address, as `billing.orders.hear`. However genuine a
callback is, it only says that asking is worth while: `confirm` believes what it fetches.
"""

import hashlib
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F

from billing.errors import CallbackRefused, NotFound, PaymentAway
from billing.ledger.clock import database_now
from billing.models import Payment, PaymentEvent, PaymentInstance, ProviderReference
from billing.orders.paying import UNPAID, confirm
from billing.payments import REGISTRY
from billing.payments.base import Callback, Heard, Hearing

_MOST_REFUSED = 2_000_000_000
_log = structlog.get_logger(__name__)


def hear(account: UUID, callback: Callback) -> str:
    """Act on what came to an account's address; return what its provider wants to read.

    In the scope of one shop. The event is committed before anything is done, so that one that
    could not be acted on is known when it comes again, or to the poller. One that is not genuine is
    counted and not stored. Raises NotFound for an account that is not called back, CallbackRefused,
    and PaymentAway when the provider shall call again later.
    """
    instance = PaymentInstance.objects.filter(public_id=account).first()
    provider = REGISTRY.get(instance.provider) if instance else None
    if not isinstance(provider, Hearing) or instance is None or not provider.is_offered(instance):
        raise NotFound("There is no account that is called back here.")
    try:
        heard = provider.hear(instance, callback)
    except CallbackRefused:
        _count_refusal(instance)
        raise
    event = _note(instance, heard, callback)
    if event.payment is not None and event.handled_at is None:
        payment = confirm(event.payment.pk)
        if heard.says_paid and payment.status in UNPAID:
            raise PaymentAway("The provider says paid here, and not paid when it is asked.")
    PaymentEvent.objects.filter(pk=event.pk, handled_at=None).update(handled_at=database_now())
    return heard.answer


def _count_refusal(instance: PaymentInstance) -> None:
    counted = PaymentInstance.objects.filter(pk=instance.pk, refused_count__lt=_MOST_REFUSED)
    counted.update(refused_count=F("refused_count") + 1, refused_at=database_now())


def _note(instance: PaymentInstance, heard: Heard, callback: Callback) -> PaymentEvent:
    """Keep the event, with a digest of what was said instead of the words.

    One that is about no payment of ours waits for nothing: it is handled by being noted.
    """
    payment = _payment_of(instance, heard)
    said = callback.query.encode() + b"\n" + callback.body
    with transaction.atomic(durable=True):
        event, is_new = PaymentEvent.objects.select_related("payment").get_or_create(
            instance=instance,
            tenant_id=instance.tenant_id,
            event_id=heard.event_id,
            defaults={
                "payment": payment,
                "kind": heard.kind,
                "payload_hash": hashlib.sha256(said).hexdigest(),
                "handled_at": None if payment else database_now(),
            },
        )
    _log.info("payment_event", kind=heard.kind, is_new=is_new, has_payment=bool(event.payment_id))
    return event


def _payment_of(instance: PaymentInstance, heard: Heard) -> Payment | None:
    """Return the payment that an event names, by our name of it or by its provider's."""
    if heard.payment is not None:
        return Payment.objects.filter(instance=instance, public_id=heard.payment).first()
    if not heard.reference:
        return None
    named = ProviderReference.objects.filter(instance=instance, reference=heard.reference)
    reference = named.select_related("payment").first()
    return reference.payment if reference else None
