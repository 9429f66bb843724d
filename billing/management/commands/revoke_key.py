"""`revoke_key`: end a key for good. Run by operators."""

import re
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from billing import keys
from billing.management.base import OperatorCommand
from billing.management.options import refusals
from billing.scoping import all_tenants


class Command(OperatorCommand):
    """Revoke a key, of whichever tenant, at once; what is in its wallet stays there."""

    help = "Revoke a key by its public id. The whole key is understood, too."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("key_id", metavar="KEY_ID", help="its 8 characters after ak-tg1")

    def handle(self, *args: object, **options: Any) -> None:
        """Revoke the key."""
        with refusals(), all_tenants():  # public ids are unique in the installation
            key = keys.revoke(kid=_kid(options["key_id"].strip()))
        self.stdout.write(f"Key {key.kid} ({key.masked}) is revoked.")


def _kid(text: str) -> str:
    parsed = keys.parse(text)
    if parsed is not None:
        return parsed.kid
    if not re.fullmatch(r"[0-9A-Za-z]{8}", text):
        raise CommandError("KEY_ID: it has 8 letters and digits, or it is the whole key.")
    return text
