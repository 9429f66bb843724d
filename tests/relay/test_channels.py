"""Channels: their address is checked, their credential sealed, their models mapped."""

import pytest

from billing import tenants
from billing.errors import FieldInvalid, NameTaken, SealBroken, TenantMismatch
from billing.models import Tenant
from billing.scoping import all_tenants, tenant_scope
from relay.channels import (
    add_credential,
    check_address,
    check_proxy,
    create_channel,
    read_credential,
)
from relay.models import Channel, ChannelCredential, ChannelModel

SECRET = "sk-upstream-secret-1234"
URL = "https://api.example.com/v1"


@pytest.fixture
def anna(db: None) -> Tenant:
    return tenants.create_tenant(slug="anna", name="Anna", hosts=["anna.example"])


def make(tenant: Tenant, name: str = "main") -> Channel:
    with tenant_scope(tenant.pk):
        return create_channel(
            tenant=tenant, name=name, provider="openai", base_url=URL, credential=SECRET
        )


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://api.example.com/v1", URL),
        ("https://api.example.com/v1/", URL),
        ("https://api.example.com/v1/v1", URL),
        ("https://api.example.com//v1//v1//", URL),
        ("HTTPS://API.Example.com:443/v1", URL),
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com:8443/openai/v1", "https://api.example.com:8443/openai/v1"),
        ("https://api.example.com/v1beta/openai", "https://api.example.com/v1beta/openai"),
    ],
)
def test_a_base_url_has_one_stored_form(given: str, stored: str) -> None:
    assert check_address("openai", given, allow_private_network=False) == stored


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/v1",
        "ftp://api.example.com",
        "http://api.example.com/v1",
        "https://user:pass@api.example.com/v1",
        "https://api.example.com/v1?key=1",
        "https://api.example.com/v1#x",
        "https://api.example.com/a b",
        "https://api.example.com/" + "x" * 300,
        "https://localhost/v1",
        "https://127.0.0.1/v1",
        "https://10.0.0.1/v1",
        "https://[::1]/v1",
        "https://[::ffff:10.0.0.1]/v1",
        "https://0x7f000001/v1",
        "https://2130706433/v1",
        "https://169.254.169.254/latest",
    ],
)
def test_an_address_that_is_unsafe_or_unclear_is_refused(url: str) -> None:
    with pytest.raises(FieldInvalid):
        check_address("openai", url, allow_private_network=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/v1", "http://gpu.lan/v1", "https://[::1]"])
def test_an_operator_may_allow_the_private_network(url: str) -> None:
    assert check_address("openai", url, allow_private_network=True) == url


def test_an_unknown_provider_is_told_which_there_are() -> None:
    with pytest.raises(FieldInvalid, match=r"anthropic, azure, demo, gemini, generic, openai"):
        check_address("azuer", URL, allow_private_network=False)


def test_the_demo_takes_neither_address_nor_credential(anna: Tenant) -> None:
    with pytest.raises(FieldInvalid, match="no base URL"):
        check_address("demo", URL, allow_private_network=False)
    with tenant_scope(anna.pk):
        channel = create_channel(tenant=anna, name="demo", provider="demo")
        assert not channel.credentials.exists()


def test_a_credential_is_sealed_and_only_its_end_is_shown(anna: Tenant) -> None:
    channel = make(anna)
    with tenant_scope(anna.pk):
        credential = channel.credentials.get()
    assert SECRET.encode() not in bytes(credential.sealed)
    assert (credential.hint, read_credential(credential)) == ("1234", SECRET)
    assert SECRET not in str(credential)


def test_a_short_credential_shows_nothing(anna: Tenant) -> None:
    channel = make(anna)
    with tenant_scope(anna.pk):
        assert add_credential(channel, "short-secret").hint == ""


def test_a_credential_does_not_open_for_another_channel(anna: Tenant) -> None:
    first, second = make(anna, "first"), make(anna, "second")
    with all_tenants():
        ChannelCredential.objects.filter(channel=first).update(channel=second)
        moved = ChannelCredential.objects.filter(channel=second).earliest("id")
    with pytest.raises(SealBroken):
        read_credential(moved)


@pytest.mark.parametrize("secret", ["", "two words", "line\nend", "schlüssel", "x" * 2_001])
def test_a_credential_that_can_not_be_sent_is_refused(anna: Tenant, secret: str) -> None:
    with tenant_scope(anna.pk), pytest.raises(FieldInvalid, match="credential"):
        create_channel(tenant=anna, name="main", provider="openai", base_url=URL, credential=secret)
    with all_tenants():
        assert not Channel.objects.exists()


def test_models_are_stored_as_asked_and_served(anna: Tenant) -> None:
    with tenant_scope(anna.pk):
        create_channel(
            tenant=anna,
            name="main",
            provider="demo",
            models={"gpt-3.5-turbo": "gpt-3.5-turbo-1106", "gpt-4": "gpt-4"},
        )
        assert dict(ChannelModel.objects.values_list("asked", "served")) == {
            "gpt-3.5-turbo": "gpt-3.5-turbo-1106",
            "gpt-4": "gpt-4",
        }


@pytest.mark.parametrize("model", ["", "x" * 65, "a\nb"])
def test_what_is_no_model_is_refused(anna: Tenant, model: str) -> None:
    with tenant_scope(anna.pk), pytest.raises(FieldInvalid, match="model"):
        create_channel(tenant=anna, name="main", provider="demo", models={"gpt-4": model})


def test_a_name_is_used_once_by_a_tenant(anna: Tenant) -> None:
    make(anna)
    with pytest.raises(NameTaken):
        make(anna)
    make(tenants.platform())


def test_two_who_take_a_name_at_once_are_told_the_same(anna: Tenant) -> None:
    make(anna)
    with pytest.raises(NameTaken, match="'main' already"):
        make(anna, " main ")


@pytest.mark.parametrize(
    "url",
    ["nonsense", "socks5://127.0.0.1:1", "http://", "http://[", "http://h:99999", "http://h:0"],
)
def test_what_can_be_no_proxy_is_refused(url: str) -> None:
    with pytest.raises(FieldInvalid):
        check_proxy(url)


def test_a_proxy_may_have_a_password_or_be_none() -> None:
    for url in ("", "http://proxy.example:3128", "https://user:w%40rd@10.0.0.1:443"):
        assert check_proxy(f" {url} ") == url


def test_a_weight_below_one_is_refused(anna: Tenant) -> None:
    with tenant_scope(anna.pk), pytest.raises(FieldInvalid, match="weight"):
        create_channel(tenant=anna, name="main", provider="demo", weight=0)


def test_a_channel_is_made_for_the_open_tenant_alone(anna: Tenant) -> None:
    with tenant_scope(tenants.platform().pk), pytest.raises(TenantMismatch):
        create_channel(tenant=anna, name="main", provider="demo")
