"""The edge: whose page a Host gets, what every answer carries, and how long a scope lasts."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.test import Client

from billing.errors import ScopeMissing
from billing.models import User, Wallet
from billing.scoping import ALL_TENANTS, current_scope, tenant_scope
from portal.middleware import AdminScopeMiddleware, TenantMiddleware
from portal.request import PortalRequest
from tests.cast import Shop, open_shop
from tests.databases import Database

Browser = Callable[..., Client]

THE_SAME_HOST = [
    "north.example",
    "NORTH.example",
    "North.Example",
    "north.example.",
    "north.example:80",
    "north.example:8443",
    "NORTH.EXAMPLE.:443",
]
STRANGERS = [
    "",
    ".",
    ":",
    ":80",
    "example",
    ".example",
    "north.example.evil.example",
    "evil-north.example",
    "sub.north.example",
    "north.example..",
    "north.example@evil.example",
    "evil.example@north.example",
    "http://north.example",
    "north.example/",
    "north.example/..",
    "north.example#",
    "north.example?x",
    "north.example, south.example",
    "north.example south.example",
    "north.example:80:80",
    "north.example:port",
    "[north.example]",
    "north.example\x00",
    "north.example%00",
    "nоrth.example",
    "127.0.0.1",
    "[::1]:80",
    "localhost",
    "platform",
    "a" * 300,
]


@pytest.mark.parametrize("host", THE_SAME_HOST)
def test_a_shop_answers_to_its_host_in_any_spelling(north: Shop, south: Shop, host: str) -> None:
    found = Client().get("/", headers={"host": host})
    assert found.status_code == 200
    assert "North shop" in found.text
    assert "South shop" not in found.text


@pytest.mark.parametrize("host", STRANGERS)
def test_a_stranger_host_learns_nothing(north: Shop, south: Shop, host: str) -> None:
    found = Client().get("/", headers={"host": host})
    assert found.status_code == 421
    assert "shop</" not in found.text
    assert "North" not in found.text


def test_a_request_without_a_host_learns_nothing(north: Shop, south: Shop) -> None:
    request = HttpRequest()
    request.path_info = "/"
    answer = TenantMiddleware(lambda _: HttpResponse())(request)
    assert isinstance(answer, HttpResponse)
    assert answer.status_code == 421


def test_a_forwarded_host_is_ignored(north: Shop, south: Shop, browser: Browser) -> None:
    headers = {"x-forwarded-host": south.host, "forwarded": f"host={south.host}"}
    assert "North shop" in browser(north.host).get("/", headers=headers).text


def test_a_closed_shop_is_gone(north: Shop, south: Shop, browser: Browser) -> None:
    north.tenant.is_active = False
    north.tenant.save(update_fields=["is_active"])
    assert browser(north.host).get("/").status_code == 421


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/static/portal/portal.css"])
def test_health_and_static_files_answer_on_any_host(db: None, path: str) -> None:
    assert Client(headers={"host": "nobody.example"}).get(path).status_code == 200


def test_an_unknown_static_file_is_no_way_around_the_host(north: Shop, south: Shop) -> None:
    answer = Client(headers={"host": "nobody.example"}).get("/static/portal/../../settings.py")
    assert answer.status_code == 421


def test_every_answer_names_its_request(north: Shop, browser: Browser) -> None:
    first, second = (browser(north.host).get("/")["x-request-id"] for _ in range(2))
    assert len(first) == 36
    assert first != second


def test_a_callers_request_id_is_not_taken_over(north: Shop, browser: Browser) -> None:
    answer = browser(north.host).get("/", headers={"x-request-id": "mine"})
    assert answer["x-request-id"] != "mine"


@pytest.mark.parametrize("path", ["/", "/nowhere", "/static/portal/portal.css", "/healthz"])
def test_pages_may_load_from_here_alone(north: Shop, browser: Browser, path: str) -> None:
    policy = browser(north.host).get(path)["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_admin_allows_no_inline_script(north: Shop, browser: Browser) -> None:
    answer = browser(north.host).get("/admin/login/")
    scripts = answer["content-security-policy"].split("script-src ")[1].split(";")[0]
    assert scripts == "'self' 'unsafe-eval'"
    assert answer["cache-control"] == "no-store"


def test_no_page_can_be_framed(north: Shop, browser: Browser) -> None:
    assert browser(north.host).get("/")["x-frame-options"] == "DENY"


def test_a_page_is_made_in_the_scope_of_its_shop(north: Shop, south: Shop) -> None:
    assert scope_behind(TenantMiddleware, north, "/") == north.tenant.pk


def test_no_scope_is_left_behind(north: Shop, south: Shop) -> None:
    scope_behind(TenantMiddleware, north, "/")
    with pytest.raises(ScopeMissing):
        current_scope()


def test_an_operator_sees_all_shops_in_the_admin(north: Shop, operator: User) -> None:
    assert scope_behind(AdminScopeMiddleware, north, "/admin/x", operator) is ALL_TENANTS


def test_an_operator_sees_one_shop_on_its_pages(north: Shop, operator: User) -> None:
    assert scope_behind(AdminScopeMiddleware, north, "/", operator) == north.tenant.pk


def test_an_inactive_operator_sees_nothing_more(north: Shop, operator: User) -> None:
    operator.is_active = False
    assert scope_behind(AdminScopeMiddleware, north, "/admin/", operator) == north.tenant.pk


def test_a_member_stays_in_the_shop(north: Shop) -> None:
    assert scope_behind(AdminScopeMiddleware, north, "/admin/", north.owner) == north.tenant.pk


def test_the_admin_tells_times_in_the_zone_of_the_shop(north: Shop, browser: Browser) -> None:
    with tenant_scope(north.tenant.pk):
        wallet = Wallet.objects.get()
    made = wallet.created_at.astimezone(ZoneInfo(north.tenant.time_zone))
    page = browser(north.host, north.owner).get(f"/admin/billing/wallet/{wallet.pk}/change/")
    assert f"{made:%Y-%m-%d %H:%M}" in page.text


async def test_pages_are_the_same_under_an_async_server(sqlite_database: Database) -> None:
    north, _ = [await sync_to_async(open_shop)(slug) for slug in ("north", "south")]
    status, body = await get("/", hosts=[north.host])
    assert status == 200
    assert "North shop" in body
    assert "South shop" not in body


@pytest.mark.parametrize("hosts", [["nobody.example"], ["north.example", "south.example"], []])
async def test_an_async_server_refuses_other_and_several_hosts(
    sqlite_database: Database, hosts: list[str]
) -> None:
    for slug in ("north", "south"):
        await sync_to_async(open_shop)(slug)
    status, body = await get("/", hosts=hosts)
    assert status == 421
    assert "shop</" not in body


@pytest.mark.parametrize("charset", ["rot13", "idna", "undefined"])
@pytest.mark.parametrize("query", [b"", b"period=%ff"])
async def test_what_is_written_in_no_encoding_of_text_is_refused(
    sqlite_database: Database, charset: str, query: bytes
) -> None:
    content_type = f"multipart/form-data; boundary=x; charset={charset}"
    status, _ = await get("/", hosts=["north.example"], query=query, content_type=content_type)
    assert status == 400


async def test_a_query_without_end_is_refused_in_any_charset(sqlite_database: Database) -> None:
    query, content_type = b"&".join([b"a=1"] * 1_001), "text/plain; charset=utf-16"
    status, _ = await get("/", hosts=["north.example"], query=query, content_type=content_type)
    assert status == 400


def test_a_cookie_that_is_no_sessions_is_ignored(
    postgres_database: Database, browser: Browser
) -> None:
    visitor = browser(open_shop("north").host)
    answer = visitor.get("/usage/", headers={"cookie": 'sessionid="\\000aaaaaaaaaaaaaaa"'})
    assert answer.status_code == 200


async def test_relay_paths_go_to_the_relay() -> None:
    _, body = await get("/v1/models", hosts=["north.example"])
    assert json.loads(body)["error"]["code"]  # not a page: the relay, which has not started


def test_a_health_check_without_a_database_scope_says_so(db: None) -> None:
    assert json.loads(Client().get("/readyz").content) == {"status": "ok"}


async def get(
    path: str, *, hosts: list[str], query: bytes = b"", content_type: str = ""
) -> tuple[int, str]:
    """Ask the ASGI app of both planes; return status and body."""
    from portal.asgi import app

    sent: list[dict[str, Any]] = []
    headers = [(b"host", host.encode()) for host in hosts]
    headers += [(b"content-type", content_type.encode())] if content_type else []
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": query, "headers": headers, "scheme": "http", "http_version": "1.1"}

    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not requests:
            await asyncio.Event().wait()
        return requests.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({**scope, "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"}}, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body.decode()


def scope_behind(middleware: type, shop: Shop, path: str, user: User | None = None) -> object:
    """Return the scope that a view behind the middleware would run in."""
    seen: list[object] = []

    def view(_request: HttpRequest) -> HttpResponse:
        seen.append(current_scope())
        return HttpResponse()

    request = PortalRequest()
    request.path = request.path_info = path
    request.META["HTTP_HOST"] = shop.host
    if middleware is TenantMiddleware:
        middleware(view)(request)
    else:
        request.user, request.tenant = user or shop.owner, shop.tenant
        with tenant_scope(shop.tenant.pk):
            middleware(view)(request)
    return seen[0]
