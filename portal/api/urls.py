"""The API's addresses, all below `/api/`."""

from django.urls import path, re_path
from django.views.generic import RedirectView

from portal.api import reference, views

to_docs = RedirectView.as_view(pattern_name="api-docs")

urlpatterns = [
    path("v1/key", views.KeyView.as_view(), name="api-key"),
    path("v1/key/usage", views.UsageView.as_view(), name="api-usage"),
    path("schema/", reference.schema, name="api-schema"),
    path("docs/", reference.docs, name="api-docs"),
    path("", to_docs),
    path("docs", to_docs),
    re_path(r"^(?P<rest>.*)$", views.no_such_address),
]
