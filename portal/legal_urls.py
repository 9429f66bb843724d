"""The addresses of a legal text and its versions, below `/agreement/` and `/privacy/`."""

from django.urls import path

from portal.views import legal

urlpatterns = [
    path("", legal.current, name="legal"),
    path("versions/", legal.versions, name="legal_versions"),
    path("versions/<path:version>/", legal.version, name="legal_version"),
]
