"""Tenants are made once, and found by the Host of a request."""

import pytest
from django.core.exceptions import ValidationError

from billing import tenants
from billing.errors import FieldInvalid, NameTaken, NotFound
from billing.hostnames import hostname
from billing.models import Domain, Tenant
from billing.scoping import all_tenants, tenant_scope

pytestmark = pytest.mark.django_db


def make(slug: str, *hosts: str) -> Tenant:
    return tenants.create_tenant(slug=slug, name=slug.title(), hosts=list(hosts))


def slug_of(host: str) -> str | None:
    found = tenants.resolve_host(host)
    return found[0].slug if found else None


def test_migrations_make_the_platform() -> None:
    assert tenants.platform().slug == "platform"
    assert Tenant.objects.count() == 1


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Shop.Example", "shop.example"),
        ("shop.example.", "shop.example"),
        ("shop.example:8443", "shop.example"),
        (" shop.example ", "shop.example"),
        ("127.0.0.1:8000", "127.0.0.1"),
        ("[2001:DB8:0::1]:443", "2001:db8::1"),
        ("店.example", "xn--hxt.example"),
        ("localhost", "localhost"),
    ],
)
def test_a_host_has_one_stored_form(given: str, stored: str) -> None:
    assert hostname(given) == stored


@pytest.mark.parametrize(
    "wrong",
    [
        *("", ":80", "a b", "a/b", "a@b", "a,b", "-a.example", "a..b", "[::1", "[a.b]", "a:b"),
        *("straße.example", "βόλος.example", "a\u200db.example", "STRAẞE.example", "::1"),
        *(
            "a\n.b",
            "x" * 64,
            "x." * 127 + "xx",
            "a:123456",
            "my_shop.example",
            "%41.example",
            "a\0b",
        ),
    ],
)
def test_what_is_no_host_is_refused(wrong: str) -> None:
    with pytest.raises(FieldInvalid):
        hostname(wrong)
    assert tenants.resolve_host(wrong) is None


def test_a_tenant_is_found_by_each_of_its_hosts() -> None:
    make("anna", "anna.example", "relay.anna.example")
    make("bert", "bert.example")
    hosts = ["ANNA.example:443", "relay.anna.example.", "bert.example", "carl.example"]
    assert [slug_of(host) for host in hosts] == ["anna", "anna", "bert", None]


def test_the_line_that_was_asked_is_told() -> None:
    make("anna", "anna.example", "relay.anna.example")
    found = tenants.resolve_host("relay.anna.example")
    assert found is not None
    assert (found[1].hostname, found[1].is_primary) == ("relay.anna.example", False)


def test_the_only_shop_answers_on_any_host() -> None:
    make("anna", "anna.example", "relay.anna.example")
    found = tenants.resolve_host("10.1.2.3:8000")
    assert found is not None
    assert (found[0].slug, found[1].hostname) == ("anna", "anna.example")


def test_a_second_shop_ends_that() -> None:
    make("anna", "anna.example")
    make("bert", "bert.example")
    assert slug_of("10.1.2.3") is None


def test_a_further_domain_ends_that() -> None:
    anna = make("anna", "anna.example")
    with tenant_scope(anna.pk):
        Domain.objects.create(tenant=anna, hostname="new.example")
    assert (slug_of("new.example"), slug_of("10.1.2.3")) == ("anna", None)


def test_a_domain_after_many_ends_that_too() -> None:
    anna = make("anna", *(f"h{number}.example" for number in range(101)))
    assert slug_of("10.1.2.3") == "anna"
    with tenant_scope(anna.pk):
        Domain.objects.create(tenant=anna, hostname="new.example")
    assert slug_of("10.1.2.3") is None


def test_a_domain_of_the_platform_ends_that_too() -> None:
    make("anna", "anna.example")
    with all_tenants():
        Domain.objects.create(tenant=tenants.platform(), hostname="platform.example")
    assert slug_of("10.1.2.3") is None


def test_before_there_is_a_shop_no_host_is_known() -> None:
    assert tenants.resolve_host("localhost") is None


def test_an_inactive_shop_is_not_found() -> None:
    make("anna", "anna.example")
    Tenant.objects.filter(slug="anna").update(is_active=False)
    assert (slug_of("anna.example"), slug_of("any.example")) == (None, None)


@pytest.mark.parametrize("slug", ["anna", "platform"])
def test_a_slug_is_used_once(slug: str) -> None:
    make("anna", "anna.example")
    with pytest.raises(NameTaken, match=slug):
        make(slug, "other.example")


def test_a_host_is_used_once_in_the_installation() -> None:
    make("anna", "anna.example")
    with pytest.raises(NameTaken, match=r"anna\.example"):
        make("bert", "bert.example", "Anna.Example.")
    assert not Tenant.objects.filter(slug="bert").exists()


def test_a_host_that_is_given_twice_is_stored_once() -> None:
    make("anna", "anna.example", "ANNA.example:80")
    with all_tenants():
        assert Domain.objects.count() == 1


@pytest.mark.parametrize("slug", ["", "Anna", "a b", "-a", "a-", "a" * 41, "ä"])
def test_a_slug_of_wrong_form_is_refused(slug: str) -> None:
    with pytest.raises(FieldInvalid):
        make(slug, "a.example")


@pytest.mark.parametrize(("name", "hosts"), [("", ["a.example"]), (" ", ["a.b"]), ("A", [])])
def test_a_tenant_needs_a_name_and_a_host(name: str, hosts: list[str]) -> None:
    with pytest.raises(FieldInvalid):
        tenants.create_tenant(slug="a", name=name, hosts=hosts)


def test_an_unknown_slug_is_named() -> None:
    with pytest.raises(NotFound, match="carl"):
        tenants.by_slug("carl")


def test_a_form_brings_a_hostname_into_its_stored_form() -> None:
    domain = Domain(hostname="Anna.Example:80")
    domain.clean()
    assert domain.hostname == "anna.example"
    with pytest.raises(ValidationError):
        Domain(hostname="a b").clean()
