"""Where the code steps outside a tenant's scope, and where it writes SQL of its own: all listed."""

import ast
from collections import Counter

from tests.architecture.sources import Source, product

ALL_TENANTS = {
    "billing/catalogue.py": "the platform's list is every shop's; a pinned price is anyone's",
    "billing/keys.py": "a key is looked up before its tenant is known",
    "billing/management/commands/reconcile.py": "proves everybody's books",
    "billing/management/commands/revoke_key.py": "public ids are unique in the installation",
    "billing/price_history.py": "the platform's list is every shop's",
    "billing/tasks.py": "jobs over all tenants",
    "billing/tenants.py": "a host is looked up before its tenant is known",
    "portal/admin/tenants.py": "a hostname leads to one shop of the installation",
    "portal/mail/delivery.py": "mails of every shop leave by one server",
    "portal/middleware.py": "platform staff, in the admin",
    "relay/loading.py": "the relay serves every tenant from one snapshot",
    "relay/object_rows.py": "one batch stores what upstreams keep for several shops",
    "relay/status.py": "the platform's channels serve every tenant",
}
OWN_SQL = ("billing/ledger/", "billing/partitions.py", "billing/scoping.py")


def calls(source: Source, *names: str) -> list[str]:
    """Return the places where a function or method of one of these names is called."""
    return [
        source.place(node)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", None) or getattr(node.func, "attr", None)) in names
    ]


def own_sources() -> list[Source]:
    return [source for source in product() if "/migrations/" not in source.name]


def test_every_step_outside_a_scope_is_listed_with_its_reason() -> None:
    used = Counter({s.name: len(calls(s, "all_tenants")) for s in own_sources()})
    assert {name for name, count in used.items() if count} == ALL_TENANTS.keys()
    assert used.total() <= 20, used


def test_sql_of_ones_own_is_written_where_it_may_be() -> None:
    assert not [
        place
        for source in own_sources()
        if not source.name.startswith(OWN_SQL)
        for place in calls(source, "cursor", "raw", "RawSQL", "extra")
    ]
