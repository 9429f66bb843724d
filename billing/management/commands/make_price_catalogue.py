"""`make_price_catalogue`: make the vendors' list anew. For developers; it publishes nothing."""

import json
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from billing import litellm_prices, price_files, vendor_prices
from billing.management.base import OperatorCommand
from billing.management.options import refusals

UNITS = {
    "tokens": "USD per million",
    "character": "USD per million",
    "image, second, request, search": "USD for one",
}


class Command(OperatorCommand):
    """Turn LiteLLM's price file into the list that `sync_prices` compares with."""

    help = "Make the list of vendors' prices from LiteLLM's price file. Publishes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "file", metavar="FILE", help="LiteLLM's model_prices_and_context_window JSON"
        )
        parser.add_argument("--release", required=True, help="the release it is from, as 1.109.1")
        parser.add_argument("--date", required=True, help="its date, as 2026-11-22")
        parser.add_argument(
            "--output", help=f"where to write it; {vendor_prices.LIST_FILE.name} if not given"
        )

    def handle(self, *args: object, **options: Any) -> None:
        """Write the list, and say what is left out of it."""
        try:
            content = Path(options["file"]).read_bytes()
            on = date.fromisoformat(options["date"]).isoformat()
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from None
        with refusals(options["file"]):
            data = price_files.parse(content.decode("utf-8"))
            by_hand = price_files.parse(vendor_prices.HAND_FILE.read_text(encoding="utf-8"))
        source = f"LiteLLM {options['release']}"
        rows, left_out = litellm_prices.convert(data, source=source, date=on)
        origin = {
            "name": source,
            "url": f"https://pypi.org/project/litellm/{options['release']}/",
            "licence": "MIT, Copyright (c) 2023 Berri AI",
            "sha256": sha256(content).hexdigest(),
            "date": on,
        }
        output = options["output"] or str(vendor_prices.LIST_FILE)
        self._write(output, written(origin, rows | by_hand["models"]))
        self._report(rows | by_hand["models"], left_out)

    def _write(self, output: str, text: str) -> None:
        if output == "-":
            self.stdout.write(text, ending="")
            return
        try:
            Path(output).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{output}: {error}") from None

    def _report(self, rows: Mapping[str, Any], left_out: Mapping[str, str]) -> None:
        for name, reason in sorted(left_out.items()):
            self.stderr.write(f"left out: {name}: {reason}")
        counts = Counter(row["vendor"] for row in rows.values())
        counted = ", ".join(f"{vendor} {count}" for vendor, count in sorted(counts.items()))
        self.stderr.write(f"{len(rows)} models: {counted}.")


def written(origin: Mapping[str, str], rows: Mapping[str, Any]) -> str:
    """Return the list as text: a line for each model, so that a change can be read."""
    ordered = sorted(rows.items(), key=lambda item: (item[1]["vendor"], item[0]))
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(row)}" for name, row in ordered)
    return (
        f'{{\n  "units": {json.dumps(UNITS)},\n  "origin": {json.dumps(origin)},\n'
        f'  "models": {{\n{lines}\n  }}\n}}\n'
    )
