"""What the background jobs leave behind: reconcile runs and findings, reaper passes, notices."""

from django.db import models

from billing.models.tenant import Tenant
from billing.scoping import ScopedModel


class ReconcileRun(models.Model):
    """One comparison of ledger, usage and holds."""

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    wallet_count = models.IntegerField()
    finding_count = models.IntegerField()

    class Meta:
        db_table = "reconcile_run"

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M:%S}: {self.finding_count} findings"


class ReconcileFinding(ScopedModel):
    """A broken invariant as it was observed. Append-only; a repair is a new transfer."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    run = models.ForeignKey(ReconcileRun, on_delete=models.PROTECT, null=True, related_name="+")
    invariant = models.CharField(max_length=16)
    subject = models.CharField(max_length=64)
    observed = models.CharField(max_length=120)
    expected = models.CharField(max_length=120)
    repair = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "reconcile_finding"

    def __str__(self) -> str:
        return f"{self.invariant} {self.subject}"


class ReaperPass(models.Model):
    """The reaper's memory (one row): how long it has been watching without a gap."""

    watching_since = models.DateTimeField()
    last_pass_at = models.DateTimeField()

    class Meta:
        db_table = "reaper_pass"

    def __str__(self) -> str:
        return f"watching since {self.watching_since:%Y-%m-%d %H:%M:%S}"


class Notice(ScopedModel):
    """Something a buyer or operator is to be told once; a work list for the mail task."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=24)
    subject = models.CharField(max_length=64)
    due_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(ScopedModel.Meta):
        db_table = "notice"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "kind", "subject", "due_at"], name="notice_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(sent_at__isnull=True), name="notice_waiting"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class ChangeCounter(models.Model):
    """Raised by triggers whenever configuration or keys change; relays poll it."""

    topic = models.CharField(primary_key=True, max_length=16)
    version = models.BigIntegerField(default=0)

    class Meta:
        db_table = "change_counter"

    def __str__(self) -> str:
        return f"{self.topic} {self.version}"
