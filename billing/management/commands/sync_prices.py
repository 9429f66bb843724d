"""`sync_prices`: compare a retail book with the vendors' list; publish when told to."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from billing import vendor_prices
from billing.catalogue import Change
from billing.management.base import OperatorCommand
from billing.management.options import add_owner, owner, refusals
from billing.models import Tenant
from billing.scoping import tenant_scope
from billing.vendor_prices import Comparison, Difference, differences


class Command(OperatorCommand):
    """Show how the list differs from what is sold; `--apply` publishes what is shown."""

    help = "Compare prices with the vendors' list that comes with this version."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        add_owner(parser)
        parser.add_argument(
            "--vendor", action="append", metavar="V", help="only this vendor's models; repeatable"
        )
        parser.add_argument(
            "--model", action="append", metavar="M", help="only this model; repeatable"
        )
        parser.add_argument("--apply", action="store_true", help="publish what is shown")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: object, **options: Any) -> None:
        """Compare, publish if told to, and show."""
        tenant = owner(options)
        models = _chosen(options)
        with refusals(), tenant_scope(tenant.pk):
            found = vendor_prices.compare(tenant.pk)
            changes = [change for change in found.changes if change.model in models]
            if options["apply"]:
                changes = vendor_prices.apply(tenant.pk, models={one.model for one in changes})
        show = self._show_json if options["json"] else self._show
        show(tenant, found, changes, is_applied=options["apply"])

    def _show(
        self, tenant: Tenant, found: Comparison, changes: list[Change], *, is_applied: bool
    ) -> None:
        for change in changes:
            figures = ", ".join(map(_figure, differences(change)))
            self.stdout.write(f"{_state(change):7}  {change.model}: {figures}")
        origin = vendor_prices.origin()
        new = sum(change.before is None for change in changes)
        self.stdout.write(
            f"{origin['name']} of {origin['date']} for {tenant.slug}: {new} new, "
            f"{len(changes) - new} changed, {found.same} as listed. "
            f"{len(found.not_listed)} models that are not on the list are left alone."
        )
        if is_applied:
            self.stdout.write(f"{len(changes)} prices published.")
        elif changes:
            self.stdout.write("Nothing is published; --apply does.")

    def _show_json(
        self, tenant: Tenant, found: Comparison, changes: list[Change], *, is_applied: bool
    ) -> None:
        answer = {
            "tenant": tenant.slug,
            "list": dict(vendor_prices.origin()),
            "applied": is_applied,
            "changes": [_as_json(change) for change in changes],
            "same": found.same,
            "not_listed": found.not_listed,
        }
        self.stdout.write(json.dumps(answer, ensure_ascii=False))


def _chosen(options: dict[str, Any]) -> set[str]:
    """Return the names of the models that the options leave."""
    known = vendor_prices.listed()
    vendors = {listed.vendor for listed in known.values()}
    for option, names, all_names in (
        ("--model", options["model"], known.keys()),
        ("--vendor", options["vendor"], vendors),
    ):
        strange = sorted(set(names or ()) - all_names)
        if strange:
            raise CommandError(f"{option}: {strange[0]!r} is not on the list.")
    return {
        model
        for model, listed in known.items()
        if model in (options["model"] or known)
        if listed.vendor in (options["vendor"] or vendors)
    }


def _state(change: Change) -> str:
    return "changed" if change.before else "new"


def _figure(one: Difference) -> str:
    name = f"{one.name} from {one.min_input} tokens" if one.min_input else one.name
    return f"{name} {one.after}" if one.before is None else f"{name} {one.before} -> {one.after}"


def _as_json(change: Change) -> dict[str, Any]:
    listed = vendor_prices.listed()[change.model]
    return {
        "model": change.model,
        "vendor": listed.vendor,
        "kind": listed.kind,
        "source": listed.source,
        "date": listed.date,
        "state": _state(change),
        "differences": [
            {
                "name": one.name,
                "min_input": one.min_input,
                "before": one.before,
                "after": one.after,
            }
            for one in differences(change)
        ],
    }
