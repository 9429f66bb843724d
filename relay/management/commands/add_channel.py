"""`add_channel`: connect a tenant, or all of them, to an upstream. Run by operators and tests."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from billing import catalogue
from billing.management.base import OperatorCommand
from billing.management.options import add_owner, owner, refusals, whole
from billing.scoping import tenant_scope
from relay import channels
from relay.providers import REGISTRY


class Command(OperatorCommand):
    """Make a channel with one credential; relays use it within a second."""

    help = "Add a channel: our address, credential and models at one provider."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        add_owner(parser)
        parser.add_argument("--name", required=True, help="its name, unique among the owner's")
        parser.add_argument("--provider", required=True, help=", ".join(sorted(REGISTRY)))
        parser.add_argument(
            "--base-url", default="", metavar="URL", help="as the vendor's SDK takes it"
        )
        parser.add_argument(
            "--credential",
            default="",
            metavar="SECRET",
            help="the vendor's key; - reads it from standard input, where no other user sees it",
        )
        parser.add_argument(
            "--model",
            dest="models",
            action="append",
            default=[],
            metavar="ASKED[=SERVED]",
            help="a model it serves, at the price of ASKED; none given: every priced model",
        )
        parser.add_argument("--priority", metavar="N", help="higher is tried first (0)")
        parser.add_argument("--weight", metavar="N", help="share among channels of a priority (1)")
        parser.add_argument(
            "--allow-private-network",
            action="store_true",
            help="let it reach plain http and addresses that are not public",
        )

    def handle(self, *args: object, **options: Any) -> None:
        """Make the channel."""
        tenant = owner(options)
        models = _mapping(options["models"])
        priority = whole(options, "priority", at_least=-1_000_000)
        weight = whole(options, "weight", at_least=1)
        with refusals(), tenant_scope(tenant.pk):
            channel = channels.create_channel(
                tenant=tenant,
                name=options["name"],
                provider=options["provider"],
                base_url=options["base_url"],
                credential=_secret(options["credential"]),
                models=models,
                priority=priority or 0,
                weight=weight or 1,
                allow_private_network=options["allow_private_network"],
            )
            unpriced = sorted(models.keys() - catalogue.current_prices(tenant.pk).keys())
        if unpriced:
            self.stderr.write(f"Not sold yet, as they have no price: {', '.join(unpriced)}.")
        self.stdout.write(f"Channel {channel.name} of {tenant.slug} is on.")


def _secret(text: str) -> str:
    return sys.stdin.readline(channels.MAX_CREDENTIAL_LENGTH + 2).strip() if text == "-" else text


def _mapping(texts: list[str]) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for text in texts:
        asked, equals, served = text.partition("=")
        if not asked or (equals and not served):
            raise CommandError(f"--model: {text!r} is not ASKED or ASKED=SERVED.")
        if asked in mapping:
            raise CommandError(f"--model: {asked} is given twice.")
        mapping[asked] = served or asked
    return mapping
