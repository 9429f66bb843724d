"""Secrets of a shop's account at a payment provider, sealed in its row. For admin and providers.

They are named texts. An instance without those that its provider needs is not offered.
"""

import json

from billing.models import PaymentInstance
from billing.sealing import seal, unseal


def store(instance: PaymentInstance, secrets: dict[str, str]) -> None:
    """Seal secrets in the place of those that were there. In the open scope."""
    plain = json.dumps(secrets, sort_keys=True).encode()
    instance.sealed_secrets = seal(plain, context=_context(instance))
    instance.save(update_fields=["sealed_secrets"])


def read(instance: PaymentInstance) -> dict[str, str]:
    """Return the secrets, none if there are none. Raises SealBroken."""
    if instance.sealed_secrets is None:
        return {}
    plain = unseal(instance.sealed_secrets, context=_context(instance))
    secrets: dict[str, str] = json.loads(plain)
    return secrets


def _context(instance: PaymentInstance) -> str:
    return f"payment_instance:{instance.public_id}"
