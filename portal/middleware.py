"""Edge of the control plane: request id, security headers, Host -> tenant scope, language.

All of them work under sync and async handlers. A scope lasts until the response object is
returned: the body of a streaming response is produced later and without one, so a view that
streams rows opens a scope of its own.
"""

import warnings
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import cache
from typing import Any, cast
from zoneinfo import ZoneInfo

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import timezone, translation
from django.utils.translation.trans_real import parse_accept_lang_header
from whitenoise.middleware import WhiteNoiseMiddleware

from billing.ids import uuid7
from billing.scoping import all_tenants, tenant_scope
from billing.tenants import resolve_host
from portal.request import PortalRequest
from portal.views.errors import unknown_host

ADMIN_PATH = "/admin/"
ANY_HOST_PATHS = frozenset({"/healthz", "/readyz"})

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# Unfold's Alpine evaluates expressions from attributes and writes styles into elements.
ADMIN_POLICY = PAGE_POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-eval'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)


def page_policy(*, connect: Iterable[str]) -> str:
    """Return the policy of a page whose script may also call these origins."""
    return PAGE_POLICY.replace("connect-src 'self'", " ".join(["connect-src 'self'", *connect]))


class Middleware:
    """One body for both kinds of handler: look up, open the scope, answer, finish."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer the request, or return the awaitable that does."""
        ours = cast("PortalRequest", request)
        if self.is_async:
            return self._answer_async(ours)
        refusal = self.prepare(ours)
        if refusal is not None:
            return refusal
        with self.scope(ours):
            return self.finish(ours, self.get_response(ours))

    async def _answer_async(self, request: PortalRequest) -> HttpResponseBase:
        if self.blocks(request):
            refusal = await sync_to_async(self.prepare)(request)
        else:
            refusal = self.prepare(request)
        if refusal is not None:
            return refusal
        with self.scope(request):
            return self.finish(request, await self.get_response(request))

    def blocks(self, request: PortalRequest) -> bool:
        """Tell whether `prepare` waits for database or disk, so that a thread must run it."""
        return False

    def prepare(self, request: PortalRequest) -> HttpResponseBase | None:
        """Note what the request needs, or return the answer that ends it here."""
        return None

    def scope(self, request: PortalRequest) -> AbstractContextManager[object]:
        """Return what is open while the request is answered."""
        return nullcontext()

    def finish(self, request: PortalRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the response with our headers."""
        return response


class RequestIdMiddleware(Middleware):
    """Gives every request an id of ours, in the logs and in `x-request-id`."""

    def prepare(self, request: PortalRequest) -> None:
        """Make the id."""
        request.request_id = str(uuid7())

    def scope(self, request: PortalRequest) -> AbstractContextManager[object]:
        """Put the id into every log line of this request."""
        return structlog.contextvars.bound_contextvars(request_id=request.request_id)

    def finish(self, request: PortalRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Tell the caller the id."""
        response["X-Request-Id"] = request.request_id
        return response


class SecurityHeadersMiddleware(Middleware):
    """Sends the content policy: nothing from elsewhere, nothing inline outside the admin."""

    def finish(self, request: PortalRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Set the headers that Django's own middleware does not."""
        is_admin = request.path_info.startswith(ADMIN_PATH)
        # A view that needs more has set its own, by `page_policy`.
        response.headers.setdefault(
            "Content-Security-Policy", ADMIN_POLICY if is_admin else PAGE_POLICY
        )
        response["X-Frame-Options"] = "DENY"
        response["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=()"
        if is_admin:
            response["Cache-Control"] = "no-store"
        return response


class StaticFilesMiddleware(Middleware):
    """Serves `/static/` by WhiteNoise, on any host, in one piece: the files are small."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self._find = _static_files()

    def blocks(self, request: PortalRequest) -> bool:
        """Tell whether a file will be read."""
        return request.path_info.startswith(settings.STATIC_URL)

    def prepare(self, request: PortalRequest) -> HttpResponseBase | None:
        """Return the file, if the address is one's."""
        if not self.blocks(request):
            return None
        found = self._find(request)
        if found is None:
            return None
        response = HttpResponse(b"".join(found.streaming_content), status=found.status_code)
        found.close()
        response.headers = found.headers
        if response.content:
            # The file may have been replaced, by an update, since its length was noted.
            response["Content-Length"] = str(len(response.content))
        return response


@cache
def _static_files() -> WhiteNoiseMiddleware:
    """Return what finds a file by its address, made once per process: it looks at all of them."""
    with warnings.catch_warnings():
        # Without a folder of collected files it finds those of the packages.
        warnings.filterwarnings("ignore", message="No directory at")
        return WhiteNoiseMiddleware(lambda _request: None)


class TenantMiddleware(Middleware):
    """Finds the shop by the Host header alone and answers within its scope.

    `X-Forwarded-Host` is ignored. A host that belongs to no shop is told so, with status 421 and
    no word about any shop. Health checks answer on every host, without a scope.
    """

    def blocks(self, request: PortalRequest) -> bool:
        """Tell whether a host will be looked up."""
        return request.path_info not in ANY_HOST_PATHS

    def prepare(self, request: PortalRequest) -> HttpResponseBase | None:
        """Look the host up."""
        if not self.blocks(request):
            return None
        found = resolve_host(request.META.get("HTTP_HOST", ""))
        if found is None:
            return unknown_host(request)
        request.tenant, request.domain = found
        return None

    def scope(self, request: PortalRequest) -> AbstractContextManager[object]:
        """Open the scope of the shop that was found."""
        return tenant_scope(request.tenant.pk) if self.blocks(request) else nullcontext()


class LanguageMiddleware(LocaleMiddleware):
    """Speaks the language that was chosen here, else the browser's, else the shop's."""

    def process_request(self, request: HttpRequest) -> None:
        """Choose the language; a shop's own counts where the visitor has none of ours."""
        super().process_request(request)
        tenant = getattr(request, "tenant", None)
        if tenant and not _has_preference(request) and tenant.language in dict(settings.LANGUAGES):
            translation.activate(tenant.language)
            request.LANGUAGE_CODE = translation.get_language()


class AdminScopeMiddleware(Middleware):
    """Opens every shop to platform operators, in the admin only; members stay in theirs.

    Times are told in the zone of the shop whose host was called.

    It wraps the whole answer, because the admin renders its lists after its views have returned.
    """

    def blocks(self, request: PortalRequest) -> bool:
        """Tell whether the user will be loaded."""
        return request.path_info.startswith(ADMIN_PATH)

    def prepare(self, request: PortalRequest) -> None:
        """Load the user while the database may be asked."""
        request.sees_all_tenants = (
            self.blocks(request) and request.user.is_active and request.user.is_superuser
        )

    def scope(self, request: PortalRequest) -> AbstractContextManager[object]:
        """Widen the scope for a platform operator, and tell times in the shop's zone."""
        if not self.blocks(request):
            return nullcontext()
        opened = ExitStack()
        opened.enter_context(timezone.override(ZoneInfo(request.tenant.time_zone)))
        if request.sees_all_tenants:
            opened.enter_context(all_tenants())
        return opened


def _has_preference(request: HttpRequest) -> bool:
    """Tell whether cookie or browser name a language that we speak."""
    if request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME) in dict(settings.LANGUAGES):
        return True
    for code, _ in parse_accept_lang_header(request.headers.get("Accept-Language", "")):
        try:
            return bool(translation.get_supported_language_variant(code))
        except LookupError:
            continue
    return False
