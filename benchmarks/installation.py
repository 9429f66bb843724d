"""A Tollgate of its own to measure: database, tenant, channel, thousands of wallets and keys.

The runner calls `Installation`; the words at the end run inside Django, in a child process that
has the installation's environment (`python -m benchmarks.installation WORD ...`).
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portal.dev import state

MODEL = "gpt-4o-mini"
PRICES = {MODEL: {"input": "0.1", "output": "0.4"}}
WALLET_CREDIT_UBT = 10**15
_SETTLE_PATIENCE_S = 10.0


@dataclass
class Installation:
    """One state folder and one database; counts what was asked of it, to check its books."""

    folder: Path
    database_url: str
    keys: Path = field(init=False)
    served: int = 0
    cut: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.keys = self.folder / "keys.txt"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process of this installation."""
        own = {
            "DATABASE_URL": self.database_url,
            state.FOLDER_VARIABLE: str(self.folder),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
        }
        return state.environment(self.folder, own)

    def build(self, *, wallet_count: int, upstream_port: int) -> None:
        """Migrate, and make the tenant, its channel, its prices, its wallets and their keys."""
        prices = self.folder / "prices.json"
        prices.write_text(json.dumps(PRICES))
        self.manage("migrate", "--verbosity", "0")
        self.manage("create_tenant", "bench", "--name", "Benchmark", "--host", "127.0.0.1")
        self.manage("load_prices", str(prices), "--tenant", "bench")
        self.manage(
            *("add_channel", "--tenant", "bench", "--name", "upstream", "--provider", "openai"),
            *("--base-url", f"http://127.0.0.1:{upstream_port}/v1", "--credential", "sk-upstream"),
            *("--model", MODEL, "--allow-private-network"),
        )
        self._inside("wallets", str(wallet_count), str(self.keys))

    def check_books(self) -> str:
        """Return one sentence when the ledger agrees with what was asked; raise if it does not."""
        books = json.loads(self._inside("books"))
        findings = json.loads(self.manage("reconcile", "--json"))["findings"]
        assert not findings, findings
        assert books["holds"] == 0, books
        assert self.served <= books["settled"] <= books["rows"] <= self.served + self.cut, (
            self.served,
            self.cut,
            books,
        )
        return (
            f"{self.served:,} answered requests, {books['rows']:,} usage rows"
            f" ({books['rows'] - self.served:,} of requests that a load generator left at its end),"
            " 0 holds left, reconcile found nothing"
        )

    def manage(self, *arguments: str) -> str:
        """Run an operator command on this installation and return what it printed."""
        return self._run(str(state.ROOT / "manage.py"), *arguments)

    def _inside(self, *arguments: str) -> str:
        return self._run("-m", "benchmarks.installation", *arguments)

    def _run(self, *arguments: str) -> str:
        return subprocess.check_output(
            [sys.executable, *arguments], env=self.environment, cwd=state.ROOT, text=True
        )


def make_wallets(count: int, keys_file: Path) -> None:
    """Give the tenant `count` wallets with credit and one key each; write the keys to a file.

    In bulk, because the service that issues one key commits each of them.
    """
    from billing.keys import mint
    from billing.models import ApiKey, Tenant, Transfer, Wallet
    from billing.scoping import tenant_scope

    tenant = Tenant.objects.get(slug="bench")
    with tenant_scope(tenant.pk):
        wallets = Wallet.objects.bulk_create(
            [Wallet(tenant=tenant, credits_ubt=WALLET_CREDIT_UBT) for _ in range(count)], 500
        )
        Transfer.objects.bulk_create([_credit(wallet) for wallet in wallets], 500)
        minted = [mint() for _ in wallets]
        ApiKey.objects.bulk_create(
            [
                ApiKey(
                    tenant=tenant,
                    wallet=wallet,
                    kid=key.kid,
                    mac=key.mac,
                    pepper_version=key.pepper_version,
                    hint=key.hint,
                )
                for wallet, key in zip(wallets, minted, strict=True)
            ],
            500,
        )
    keys_file.touch(mode=0o600)
    keys_file.write_text("\n".join(key.plaintext for key in minted) + "\n")


def read_books() -> dict[str, int]:
    """Wait until no hold is left, then count the usage rows of the tenant."""
    from billing.models import Hold, Tenant, UsageRecord
    from billing.scoping import tenant_scope

    give_up_at = time.monotonic() + _SETTLE_PATIENCE_S
    with tenant_scope(Tenant.objects.get(slug="bench").pk):
        while Hold.objects.exists() and time.monotonic() < give_up_at:
            time.sleep(0.1)
        return {
            "holds": Hold.objects.count(),
            "rows": UsageRecord.objects.count(),
            "settled": UsageRecord.objects.filter(resolution="settled").count(),
        }


def _credit(wallet: Any) -> Any:
    from billing.models import Transfer

    return Transfer(
        tenant_id=wallet.tenant_id,
        wallet=wallet,
        kind="adjustment",
        direction=1,
        amount_ubt=wallet.credits_ubt,
        source="benchmark",
        source_id=str(wallet.pk),
        input_hash="benchmark",
    )


def main(argv: list[str]) -> None:
    """Do one word inside Django."""
    import django

    django.setup()
    if argv[0] == "wallets":
        make_wallets(int(argv[1]), Path(argv[2]))
    else:
        print(json.dumps(read_books()))


if __name__ == "__main__":
    main(sys.argv[1:])
