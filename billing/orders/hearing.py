"""What payment providers say by themselves: noted once, then the payment is asked for.

Called by the page at an account's notify address, as `billing.orders.hear`. However genuine a
callback is, it only says that asking is worth while: `confirm` believes what it fetches.
"""

import hashlib
from uuid import UUID

import structlog
from django.db import transaction

from billing.errors import NotFound, PaymentAway
from billing.ledger.clock import database_now
from billing.models import Payment, PaymentEvent, PaymentInstance
from billing.orders.paying import OPEN, confirm
from billing.payments import REGISTRY
from billing.payments.base import Callback, Heard, Hearing

_log = structlog.get_logger(__name__)


def hear(account: UUID, callback: Callback) -> str:
    """Act on what came to an account's address; return what its provider wants to read.

    In the scope of one shop. The event is committed before anything is done, so that one that
    could not be acted on is known when it comes again. Raises NotFound for an account that is not
    called back, CallbackRefused, and PaymentAway when the provider shall call again later.
    """
    instance = PaymentInstance.objects.filter(public_id=account).first()
    provider = REGISTRY.get(instance.provider) if instance else None
    if not isinstance(provider, Hearing) or instance is None or not provider.is_offered(instance):
        raise NotFound("There is no account that is called back here.")
    heard = provider.hear(instance, callback)
    event = _note(instance, heard, callback)
    if event.payment is not None and event.handled_at is None:
        payment = confirm(event.payment.pk)
        if heard.says_paid and payment.status in OPEN:
            raise PaymentAway("The provider says paid here, and not paid when it is asked.")
    PaymentEvent.objects.filter(pk=event.pk, handled_at=None).update(handled_at=database_now())
    return heard.answer


def _note(instance: PaymentInstance, heard: Heard, callback: Callback) -> PaymentEvent:
    """Keep the event, with a digest of what was said instead of the words."""
    own = Payment.objects.filter(instance=instance)
    payment = own.filter(public_id=heard.payment).first() if heard.payment else None
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
            },
        )
    _log.info("payment_event", kind=heard.kind, is_new=is_new, has_payment=bool(event.payment_id))
    return event
