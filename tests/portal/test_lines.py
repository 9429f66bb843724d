"""Relay addresses as visitors are told them: every domain, at the port they came by."""

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import translation

from billing.models import Domain
from billing.scoping import tenant_scope
from portal.lines import Line, lines_of
from tests.cast import Shop


def shown(shop: Shop, host: str, *, secure: bool = False) -> list[Line]:
    request: HttpRequest = RequestFactory(headers={"host": host}).get("/", secure=secure)
    with tenant_scope(shop.tenant.pk), translation.override("en"):
        return lines_of(request)


def add(shop: Shop, hostname: str, *, label: str = "") -> None:
    with tenant_scope(shop.tenant.pk):
        Domain.objects.create(tenant=shop.tenant, hostname=hostname, label=label)


def test_the_primary_domain_comes_first(north: Shop) -> None:
    add(north, "hk.north.example", label="Hong Kong")
    lines = shown(north, "hk.north.example", secure=True)
    assert [line.base_url for line in lines] == [
        "https://north.example",
        "https://hk.north.example",
    ]
    assert [line.name for line in lines] == ["Main line", "Hong Kong"]
    assert [line.is_primary for line in lines] == [True, False]


def test_the_visitors_port_is_kept(north: Shop) -> None:
    assert shown(north, "north.example:8443")[0].base_url == "http://north.example:8443"


def test_a_host_without_a_row_leads_the_list(north: Shop) -> None:
    lines = shown(north, "192.0.2.7:8000")
    assert [line.base_url for line in lines] == [
        "http://192.0.2.7:8000",
        "http://north.example:8000",
    ]


def test_who_came_by_the_last_of_many_lines_is_shown_it_last(north: Shop) -> None:
    for number in range(14):
        add(north, f"l{number}.north.example", label=f"Line {number}")
    lines = shown(north, "l13.north.example")
    assert [lines[0].hostname, lines[-1].name] == ["north.example", "Line 13"]


def test_an_ipv6_host_keeps_its_brackets(north: Shop) -> None:
    assert shown(north, "[2001:db8::1]:8000")[0].base_url == "http://[2001:db8::1]:8000"


def test_loopback_is_shown_to_those_who_came_by_it(north: Shop) -> None:
    add(north, "localhost")
    assert [line.hostname for line in shown(north, "localhost")] == ["north.example", "localhost"]
    assert [line.hostname for line in shown(north, "north.example")] == ["north.example"]


def test_other_shops_lines_are_not_shown(north: Shop, south: Shop) -> None:
    assert [line.hostname for line in shown(north, "north.example")] == ["north.example"]


@pytest.mark.parametrize("count", [40])
def test_the_list_has_an_end(north: Shop, count: int) -> None:
    for number in range(count):
        add(north, f"l{number}.north.example")
    assert len(shown(north, "north.example")) == 12
