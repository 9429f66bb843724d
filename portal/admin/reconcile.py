"""Admin of what the nightly comparison of ledger, usage and holds found. Read-only."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from billing.models import ReconcileFinding, ReconcileRun
from portal.admin.base import ScopedAdmin
from portal.admin.roles import READ_ONLY


@admin.register(ReconcileRun)
class ReconcileRunAdmin(ScopedAdmin):
    """Comparisons over all shops; for platform operators."""

    verbs = READ_ONLY
    list_display = ("started_at", "result", "wallet_count", "finding_count", "finished_at")
    list_filter = ("started_at",)
    ordering = ("-id",)

    @display(description=_("Result"), label={"clean": "success", "findings": "danger"})
    def result(self, run: ReconcileRun) -> tuple[str, Any]:
        """Say whether anything was found."""
        return ("findings", _("Findings")) if run.finding_count else ("clean", _("Nothing found"))


@admin.register(ReconcileFinding)
class ReconcileFindingAdmin(ScopedAdmin):
    """Broken invariants as they were observed. A repair is a transfer, never an edit."""

    verbs = member_verbs = READ_ONLY
    list_display = ("created_at", "invariant", "subject", "observed", "expected", "repair")
    list_filter = ("invariant", "created_at")
    search_fields = ("subject", "invariant")
    ordering = ("-id",)
