"""The jobs of the portal: thin faces of services, woken by what was written and by the clock."""

from celery import shared_task

from billing import sign_in
from billing.orders import lookup
from portal.celery import TenantTask
from portal.mail import delivery


@shared_task(name="portal.mail.deliver")
def deliver_mail() -> int:
    """Send the mails that are due; return how many the mail server took."""
    return delivery.deliver()


@shared_task(name="portal.mail.order_link", base=TenantTask)
def mail_order_link(*, tenant_id: int, number: str, mailbox: str) -> bool:
    """Mail the link of an order to its buyer, if number and mailbox belong together."""
    return lookup.mail_link(tenant_id=tenant_id, number=number, mailbox=mailbox)


@shared_task(name="portal.mail.sign_in", base=TenantTask)
def mail_sign_in(*, tenant_id: int, email: str, language: str) -> bool:
    """Mail an address the link that signs in."""
    return sign_in.ask(tenant_id=tenant_id, email=email, language=language)
