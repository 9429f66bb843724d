"""`create_tenant`: open a shop with its hostnames. Run by platform operators."""

from argparse import ArgumentParser
from typing import Any

from billing import tenants
from billing.management.base import OperatorCommand
from billing.management.options import refusals


class Command(OperatorCommand):
    """Make a tenant; it sells by the platform's price list until it has prices of its own."""

    help = "Open a shop: a tenant with its hostnames. The first host is the primary one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("slug", metavar="SLUG", help="its name in commands: a-z, 0-9, hyphens")
        parser.add_argument("--name", required=True, help="its name as people see it")
        parser.add_argument(
            "--host",
            dest="hosts",
            action="append",
            required=True,
            help="a hostname of its pages and its relay; may be given several times",
        )

    def handle(self, *args: object, **options: Any) -> None:
        """Make the tenant and say what it answers for."""
        with refusals():
            tenant = tenants.create_tenant(
                slug=options["slug"], name=options["name"], hosts=options["hosts"]
            )
        self.stdout.write(f"Tenant {tenant.slug} is open at {', '.join(options['hosts'])}.")
