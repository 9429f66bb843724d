"""`manage.py reconcile`: prove the books now; the exit status says whether they are right."""

import sys
from argparse import ArgumentParser
from typing import Any

from billing import tenants
from billing.ledger.reconcile import reconcile
from billing.management.base import OperatorCommand
from billing.management.options import refusals
from billing.scoping import all_tenants


class Command(OperatorCommand):
    """Compare every balance with the rows it comes from. Exit 0 when clean, 1 when not."""

    help = "Compare every balance with transfers, usage and holds. Exit status 1: findings."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--tenant", metavar="SLUG", help="only the wallets of this shop")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")

    def handle(self, *args: object, **options: Any) -> None:
        """Print the report."""
        slug: str | None = options["tenant"]
        with refusals(), all_tenants():  # the platform proves everybody's books
            report = reconcile(tenant_id=tenants.by_slug(slug).pk if slug else None)
        self.stdout.write(report.as_json() if options["json"] else report.as_text())
        if not report.is_clean:
            sys.exit(1)
