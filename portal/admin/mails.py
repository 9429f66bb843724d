"""Admin of the outbox: what waits to be sent, what was, and what could not be."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.decorators import action

from billing import outbox
from billing.ids import uuid7
from billing.models import Mail
from billing.scoping import tenant_scope
from portal.admin import steps, values
from portal.admin.base import ScopedAdmin
from portal.admin.roles import READ_ONLY


@admin.register(Mail)
class MailAdmin(ScopedAdmin):
    """Mails by what they are about. Their text is made when they are sent, and kept nowhere."""

    verbs = member_verbs = READ_ONLY
    list_display = (
        "created_at",
        values.worded(Mail, "kind"),
        "recipient",
        values.worded(Mail, "status"),
        "try_count",
        "sent_at",
        "last_error",
    )
    list_filter = (("status", values.WordsFilter), ("kind", values.WordsFilter), "created_at")
    search_fields = ("recipient",)
    search_help_text = _("Recipient")
    ordering = ("-id",)
    actions = ("send_chosen_again",)
    actions_detail = ("send_again",)
    fields = readonly_fields = (
        "tenant",
        values.worded(Mail, "kind"),
        "subject_id",
        "recipient",
        values.worded(Mail, "language"),
        values.worded(Mail, "status"),
        "created_at",
        "sent_at",
        "try_count",
        "next_try_at",
        "last_error",
    )

    @admin.action(description=_("Send the chosen mails again"), permissions=["act"])
    def send_chosen_again(self, request: HttpRequest, chosen: QuerySet[Mail]) -> None:
        """Give every chosen mail its tries back."""
        mails = list(chosen[:1_000])
        for mail in mails:
            self._send(request, mail, once=str(uuid7()))
        count = len(mails)
        text = ngettext("%(count)s mail is on its way.", "%(count)s mails are on their way.", count)
        messages.success(request, text % {"count": count})

    @action(
        description=_("Send again"),
        url_path="again",
        permissions=["act"],
        icon="forward_to_inbox",
    )
    def send_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send one mail again."""
        mail = steps.row_or_404(self, request, object_id)

        def send(given: dict[str, Any]) -> HttpResponse:
            self._send(request, mail, once=str(given["once"]))
            messages.success(request, _("The mail is on its way."))
            return redirect("admin:billing_mail_changelist")

        return steps.step(
            self,
            request,
            deed=send,
            form=steps.once_form(request),
            row=mail,
            title=_("Send this mail again"),
            sentence=_("It goes to %(recipient)s and says what is so now.")
            % {"recipient": mail.recipient},
            button=_("Send again"),
        )

    def _send(self, request: HttpRequest, mail: Mail, *, once: str) -> None:
        with tenant_scope(mail.tenant_id):
            outbox.again(mail, once=once)
        self.log_change(request, mail, str(_("It was sent again.")))
