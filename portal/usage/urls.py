"""The addresses of the usage page, below `/usage/`. No address names a key."""

from django.urls import path

from portal.views import receipts, usage, usage_acts, usage_export

urlpatterns = [
    path("", usage.enter, name="usage"),
    path("leave/", usage.leave, name="usage_leave"),
    path("key/", usage.usage, name="usage_key"),
    path("key/calls.csv", usage_export.calls, {"kind": "csv"}, name="usage_csv"),
    path("key/calls.json", usage_export.calls, {"kind": "json"}, name="usage_json"),
    path("key/receipts/<str:receipt>/", receipts.of_key, name="usage_receipt"),
    path("key/top-up/", usage_acts.top_up, name="usage_top_up"),
    path("key/redeem/", usage_acts.redeem, name="usage_redeem"),
    path("key/replace/", usage_acts.replace, name="usage_replace"),
    path("key/name/", usage_acts.rename, name="usage_rename"),
    path("key/alert/", usage_acts.alert, name="usage_alert"),
]
