"""Every address of the control plane. Relay paths are listed in `relay.asgi`."""

from django.contrib import admin
from django.urls import include, path
from django.views.i18n import set_language

from portal.views import (
    brand,
    counter,
    errors,
    guides,
    health,
    lines,
    models,
    redeem,
    storefront,
    wellknown,
)

urlpatterns = [
    path("", storefront.home, name="home"),
    path("language/", set_language, name="set_language"),
    path("brand.css", brand.style_sheet, name="brand"),
    path("agreement/", include("portal.legal_urls"), {"purpose": "agreement"}),
    path("privacy/", include("portal.legal_urls"), {"purpose": "privacy"}),
    path("robots.txt", wellknown.robots, name="robots"),
    path("favicon.ico", wellknown.favicon, name="favicon"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("guides/", guides.guides, name="guides"),
    path("guides/<slug:guide>/", guides.guide, name="guide"),
    path("tokens/", counter.counter, name="tokens"),
    path("lines/", lines.lines, name="lines"),
    path("models/", models.models, name="models"),
    path("models/<path:model_name>/", models.model, name="model"),
    path("redeem/", redeem.redeem, name="redeem"),
    path("", include("portal.order_urls")),
    path("usage/", include("portal.usage.urls")),
    path("account/", include("portal.account.urls")),
    path("api/", include("portal.api.urls")),
    path("admin/", admin.site.urls),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
