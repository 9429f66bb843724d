"""What is said to people: mails that wait to be sent, announcements, the texts buyers agree to."""

from django.db import models
from django.db.models import Q

from billing.models.tenant import Tenant
from billing.scoping import ScopedModel


class Mail(ScopedModel):
    """A mail of the outbox: written with what it tells of, rendered when it is sent.

    `subject_id` names the row that it is about (an order, a delivery, a wallet, a key), and nothing
    secret is kept here. `once` makes a repeated cause one mail.
    """

    WAITING, SENT, FAILED = "waiting", "sent", "failed"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=24)
    subject_id = models.BigIntegerField()
    recipient = models.EmailField(max_length=254)
    language = models.CharField(max_length=12)
    once = models.CharField(max_length=120)
    status = models.CharField(max_length=16, default=WAITING)
    try_count = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "mail"
        ordering = ("-id",)
        constraints = [models.UniqueConstraint(fields=["tenant", "once"], name="mail_once")]
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(status="waiting"), name="mail_waiting")
        ]

    def __str__(self) -> str:
        return self.recipient


class Announcement(ScopedModel):
    """A line that a shop shows above its pages for a while. No language is every language."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    text = models.CharField(max_length=300)
    language = models.CharField(max_length=12, blank=True)
    link_url = models.CharField(max_length=200, blank=True)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "announcement"
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.text[:60]


class LegalText(ScopedModel):
    """One version of a shop's own agreement or privacy page in one language, as Markdown.

    The newest `published_at` counts; a shop without one shows the text that comes with Tollgate.
    """

    AGREEMENT, PRIVACY = "agreement", "privacy"

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    purpose = models.CharField(max_length=16)
    language = models.CharField(max_length=12)
    version = models.CharField(max_length=40)
    body = models.TextField(max_length=60_000)
    published_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "legal_text"
        ordering = ("-published_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "purpose", "language", "version"], name="legal_text_once"
            )
        ]

    def __str__(self) -> str:
        return self.version
