"""The operators' commands, as they are typed."""

import os
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from billing import catalogue, keys, tenants
from billing.models import ApiKey, Tenant, Transfer
from billing.scoping import all_tenants
from relay.channels import read_credential
from relay.models import Channel, ChannelModel
from tests.databases import Database


def run(*words: str) -> tuple[str, str]:
    """Run a command; return standard output and standard error."""
    out, err = StringIO(), StringIO()
    call_command(*words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def anna(db: None) -> Tenant:
    run("create_tenant", "anna", "--name", "Anna", "--host", "anna.example")
    return tenants.by_slug("anna")


def issue(*words: str) -> ApiKey:
    out, _ = run("issue_key", "--tenant", "anna", *words)
    key = keys.find(out)
    assert key is not None
    return key


def refused(*words: str) -> str:
    with pytest.raises(CommandError) as refusal:
        run(*words)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_create_tenant_opens_a_shop(db: None) -> None:
    hosts = ("--host", "Anna.example", "--host", "relay.anna.example:443")
    out, _ = run("create_tenant", "anna", "--name", "安娜", *hosts)
    assert "anna" in out
    found = tenants.resolve_host("relay.anna.example")
    assert found is not None
    assert found[0].name == "安娜"


def test_create_tenant_says_what_is_taken(anna: Tenant) -> None:
    words = ("--name", "Anna", "--host", "other.example")
    assert "anna" in refused("create_tenant", "anna", *words)
    words = ("--name", "Bert", "--host", "anna.example")
    assert "anna.example" in refused("create_tenant", "bert", *words)


def test_issue_key_prints_the_key_alone(anna: Tenant) -> None:
    out, err = run("issue_key", "--tenant", "anna", "--base-tokens", "90000", "--name", "n")
    assert out == out.strip() + "\n"
    assert (keys.find(out) is not None, err) == (True, "")


def test_issue_key_credits_exactly(anna: Tenant) -> None:
    key = issue("--base-tokens", "1.5")
    with all_tenants():
        booked = Transfer.objects.get(wallet_id=key.wallet_id)
    assert (booked.kind, booked.amount_ubt, key.wallet.credits_ubt) == (
        "adjustment",
        1_500_000,
        1_500_000,
    )


def test_issue_key_without_credit_books_nothing(anna: Tenant) -> None:
    issue("--base-tokens", "0")
    with all_tenants():
        assert not Transfer.objects.exists()


def test_issue_key_sets_limits(anna: Tenant) -> None:
    models = ("--model", "gpt-4", "--model", "gpt-4o", "--model", "gpt-4")
    key = issue("--base-tokens", "1", *models, "--rpm", "3", "--tpm", "4", "--concurrency", "5")
    assert key.allowed_models == ["gpt-4", "gpt-4o"]
    assert (key.rpm, key.tpm, key.concurrency) == (3, 4, 5)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30d", timedelta(days=30)),
        ("12h", timedelta(hours=12)),
        ("90m", timedelta(minutes=90)),
        ("45s", timedelta(seconds=45)),
    ],
)
def test_issue_key_ends_key_and_wallet(anna: Tenant, text: str, length: timedelta) -> None:
    key = issue("--base-tokens", "1", "--expires-in", text)
    assert key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - length) < timedelta(seconds=30)
    assert key.wallet.expires_at == key.expires_at


def test_issue_key_warns_of_a_model_that_is_not_sold(anna: Tenant) -> None:
    out, err = run("issue_key", "--tenant", "anna", "--base-tokens", "1", "--model", "gpt-9")
    assert keys.find(out) is not None
    assert "gpt-9" in err


WRONG_OPTIONS = {
    "--base-tokens": ["-1", "many", "0.0000001", "1e99", ""],
    "--expires-in": ["30", "d", "0d", "-1d", "1w", "999999999d"],
    "--rpm": ["0", "-1", "1.5", "many", "2147483648"],
    "--tpm": ["0"],
    "--concurrency": ["0"],
    "--model": ["", "x" * 65, "\udcff"],
}


@pytest.mark.parametrize(
    ("option", "value"), [(name, value) for name in WRONG_OPTIONS for value in WRONG_OPTIONS[name]]
)
def test_issue_key_names_the_option_that_is_wrong(anna: Tenant, option: str, value: str) -> None:
    given = {"--base-tokens": "1", option: value}
    words = [f"{name}={value}" for name, value in given.items()]
    assert refused("issue_key", "--tenant", "anna", *words).startswith(option)
    with all_tenants():
        assert not ApiKey.objects.exists()


BROKEN = ["a\nb", "a\0", "\udcff", "\u2028"]


@pytest.mark.parametrize("name", ["x" * 61, *BROKEN])
def test_a_name_is_one_line_of_text(anna: Tenant, name: str) -> None:
    name = f"a{name}b"
    complaints = [
        refused("issue_key", "--tenant", "anna", "--base-tokens", "1", "--name", name),
        refused("add_channel", "--tenant", "anna", "--provider", "demo", "--name", name),
        refused("create_tenant", "b", "--host", "b.example", "--name", name * 2),
    ]
    assert all(complaint.startswith("The name must be one line") for complaint in complaints)


@pytest.mark.parametrize("slug", BROKEN)
def test_what_can_not_be_a_slug_is_nobodys(db: None, slug: str) -> None:
    assert "no tenant" in refused("issue_key", "--tenant", slug, "--base-tokens", "1")


def test_an_unknown_tenant_is_named(db: None) -> None:
    complaint = refused("issue_key", "--tenant", "carl", "--base-tokens", "1")
    assert complaint == "--tenant: There is no tenant 'carl'."


@pytest.mark.parametrize("whole", [False, True])
def test_revoke_key_takes_the_public_id_or_the_whole_key(anna: Tenant, whole: bool) -> None:
    plaintext, _ = run("issue_key", "--tenant", "anna", "--base-tokens", "1")
    key = keys.find(plaintext)
    assert key is not None
    out, _ = run("revoke_key", plaintext if whole else key.kid)
    found = keys.find(plaintext)
    assert found is not None
    assert found.revoked_at is not None
    assert plaintext[14:45] not in out


def test_revoke_key_says_what_it_does_not_know(db: None) -> None:
    assert refused("revoke_key", "ABCDEFGH") == "There is no key ABCDEFGH."
    assert refused("revoke_key", "ABC").startswith("KEY_ID")


def test_load_prices_shows_what_changed(anna: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text('{"gpt-4": {"input": 20.5, "output": 41}, "m": {"request": 3}}')
    out, _ = run("load_prices", str(file), "--tenant", "anna")
    assert "gpt-4: input 20.5" in out
    assert "2 prices published for anna, 0 unchanged." in out
    out, _ = run("load_prices", str(file), "--tenant", "anna")
    assert out == "0 prices published for anna, 2 unchanged.\n"


def test_load_prices_for_the_platform_is_for_every_shop(anna: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text('{"new-model": {"input": 1}}')
    run("load_prices", str(file), "--platform")
    assert "new-model" in catalogue.current_prices(anna.pk)


@pytest.mark.parametrize("content", ['{"m": {"inptu": 1}}', "{", "\udcff"])
def test_load_prices_names_the_file_that_is_wrong(
    anna: Tenant, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "prices.json"
    file.write_bytes(content.encode(errors="surrogateescape"))
    assert refused("load_prices", str(file), "--tenant", "anna").startswith(str(file))


def test_load_prices_names_a_file_that_is_not_there(anna: Tenant, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.json")
    assert refused("load_prices", missing, "--tenant", "anna").startswith(missing)


@pytest.mark.parametrize("owner", [(), ("--tenant", "anna", "--platform")])
def test_an_owner_is_given_once(anna: Tenant, owner: tuple[str, ...]) -> None:
    refused("load_prices", "-", *owner)


def add_channel(*words: str) -> Channel:
    run("add_channel", "--name", "main", *words)
    with all_tenants():
        return Channel.objects.get(name="main")


def test_add_channel_stores_what_it_is_given(anna: Tenant) -> None:
    channel = add_channel(
        *("--tenant", "anna", "--provider", "openai", "--base-url", "http://127.0.0.1:9/v1/"),
        *("--credential", "sk-upstream", "--priority", "-3", "--weight", "7"),
        *("--model", "gpt-4", "--model", "gpt-3.5-turbo=gpt-3.5-turbo-1106"),
        "--allow-private-network",
    )
    assert (channel.base_url, channel.priority, channel.weight) == ("http://127.0.0.1:9/v1", -3, 7)
    with all_tenants():
        assert read_credential(channel.credentials.get()) == "sk-upstream"
        assert dict(ChannelModel.objects.values_list("asked", "served")) == {
            "gpt-4": "gpt-4",
            "gpt-3.5-turbo": "gpt-3.5-turbo-1106",
        }


def test_add_channel_reads_a_credential_from_standard_input(
    anna: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("sk-typed\n"))
    url = ("--base-url", "https://api.example.com/v1")
    channel = add_channel("--platform", "--provider", "openai", *url, "--credential", "-")
    assert channel.tenant_id == tenants.platform().pk
    with all_tenants():
        assert read_credential(channel.credentials.get()) == "sk-typed"


WRONG_CHANNELS = {
    "no credential": ["--base-url", "https://api.example.com"],
    "no address": ["--credential", "sk-x"],
    "plain http": ["--base-url", "http://api.example.com", "--credential", "sk-x"],
    "weight zero": ["--base-url", "https://a.example", "--credential", "x", "--weight", "0"],
    "model twice": ["--model", "a", "--model", "a=b"],
    "model without a name": ["--model", "=b"],
    "model served by nothing": ["--model", "a="],
}


@pytest.mark.parametrize("name", WRONG_CHANNELS)
def test_add_channel_refuses_what_can_not_work(anna: Tenant, name: str) -> None:
    words = ("--tenant", "anna", "--provider", "openai", *WRONG_CHANNELS[name])
    refused("add_channel", "--name", "main", *words)
    with all_tenants():
        assert not Channel.objects.exists()


def manage(database: Database, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *words]
    environment: dict[str, Any] = {**os.environ, "DATABASE_URL": database.url}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_commands_work_as_processes(sqlite_database: Database) -> None:
    tenants.create_tenant(slug="anna", name="Anna", hosts=["anna.example"])
    issued = manage(sqlite_database, "issue_key", "--tenant", "anna", "--base-tokens", "1")
    wrong = manage(sqlite_database, "issue_key", "--tenant", "bert", "--base-tokens", "1")
    assert (issued.returncode, wrong.returncode) == (0, 1)
    assert keys.find(issued.stdout) is not None
    assert wrong.stderr == "CommandError: --tenant: There is no tenant 'bert'.\n"
