"""`issue_key`: make a key with a wallet of its own. Run by operators and by tests."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from billing import catalogue, keys
from billing.errors import AmountInexact
from billing.management.base import OperatorCommand
from billing.management.options import end_after, named_tenant, refusals, whole
from billing.scoping import tenant_scope
from billing.units import to_ubt


class Command(OperatorCommand):
    """Make a key and print it, alone, on standard output. It can't be shown again."""

    help = "Issue a key with a wallet of its own and print it; it can't be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--tenant", metavar="SLUG", required=True, help="the shop it is for")
        parser.add_argument(
            "--base-tokens", metavar="N", required=True, help="its credit, exact: 90000 or 1.5"
        )
        parser.add_argument("--name", default="", help="a name for staff")
        parser.add_argument("--expires-in", metavar="TIME", help="30d, 12h, 90m or 45s from now")
        parser.add_argument(
            "--model",
            dest="models",
            action="append",
            default=[],
            help="a model it may use; may be given several times; none allows all",
        )
        parser.add_argument("--rpm", metavar="N", help="requests a minute")
        parser.add_argument("--tpm", metavar="N", help="tokens a minute")
        parser.add_argument("--concurrency", metavar="N", help="requests at the same time")

    def handle(self, *args: object, **options: Any) -> None:
        """Issue the key and print it."""
        tenant = named_tenant(options)
        credit_ubt = _credit(options["base_tokens"])
        expires_at = end_after(options["expires_in"], option="--expires-in")
        limits = _limits(options)
        with refusals(), tenant_scope(tenant.pk):
            self._warn_of_unpriced(tenant.pk, options["models"])
            _, plaintext = keys.issue(
                tenant_id=tenant.pk,
                credit_ubt=credit_ubt,
                name=options["name"],
                expires_at=expires_at,
                actor="issue_key",
                **limits,
            )
        self.stdout.write(plaintext)

    def _warn_of_unpriced(self, tenant_id: int, models: list[str]) -> None:
        unpriced = sorted(set(models) - catalogue.current_prices(tenant_id).keys())
        if unpriced:
            self.stderr.write(f"Not sold yet, as they have no price: {', '.join(unpriced)}.")


def _credit(text: str) -> int:
    try:
        credit_ubt = to_ubt(text)
    except AmountInexact as error:
        raise CommandError(f"--base-tokens: {error}.") from None
    if credit_ubt < 0:
        raise CommandError(f"--base-tokens: {text} is negative.")
    return credit_ubt


def _limits(options: dict[str, Any]) -> keys.KeyLimits:
    limits: keys.KeyLimits = {"allowed_models": list(dict.fromkeys(options["models"]))}
    for model in limits["allowed_models"]:
        if not 1 <= len(model) <= 64 or not model.isprintable():
            raise CommandError(f"--model: {model!r} is not the name of a model.")
    for name in ("rpm", "tpm", "concurrency"):
        number = whole(options, name, at_least=1)
        if number is not None:
            limits[name] = number
    return limits
