"""`load_prices`: publish a price file in a tenant's or the platform's retail book."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from billing import catalogue, price_files
from billing.catalogue import Change
from billing.management.base import OperatorCommand
from billing.management.options import add_owner, owner, refusals
from billing.pricing import BUCKETS, Price
from billing.scoping import tenant_scope
from billing.units import exact_base_tokens

MAX_FILE_BYTES = 10 * 1024 * 1024


class Command(OperatorCommand):
    """Publish what a file says, all or nothing; models that are not in it keep their price."""

    help = "Publish retail prices from a JSON file, in base tokens per unit. All or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("file", metavar="FILE", help="the JSON file; - reads standard input")
        add_owner(parser)

    def handle(self, *args: object, **options: Any) -> None:
        """Publish the changes and show them."""
        tenant = owner(options)
        with refusals(options["file"]), tenant_scope(tenant.pk):
            data = price_files.parse(_text(options["file"]))
            changes = catalogue.load_retail(tenant.pk, data)
        for change in changes:
            self.stdout.write(_line(change))
        same = len(data) - len(changes)
        self.stdout.write(f"{len(changes)} prices published for {tenant.slug}, {same} unchanged.")


def _text(file: str) -> str:
    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as source:
            content = source.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise CommandError(f"{file}: the file is larger than {MAX_FILE_BYTES} bytes.")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: {error}") from None


def _line(change: Change) -> str:
    before = f" (was {_prices(change.before)})" if change.before else ""
    return f"{change.model}: {_prices(change.after)}{before}"


def _prices(price: Price) -> str:
    named = zip(BUCKETS, price.ubt, strict=True)
    return ", ".join(f"{bucket} {exact_base_tokens(ubt)}" for bucket, ubt in named if ubt) or "free"
